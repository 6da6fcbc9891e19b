"""Which of a channel's drains in one process claims; with drains of the test's own, and a second of 100 ms."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest
from support.waiting import wait_until_async

from pushlane_worker.drains.drain import Report
from pushlane_worker.drains.handover import Handover

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pushlane_worker.drains.drain import Drain, Ended

SECOND_S = 0.1
pytestmark = pytest.mark.alone


@pytest.fixture(autouse=True)
def short_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takeovers each 100 ms."""
    monkeypatch.setattr("pushlane_worker.drains.handover.TAKEOVER_EACH_S", SECOND_S)


@dataclass(eq=False)
class FullDrain:
    """It claims until it is told to end."""

    name: str
    log: list[str]
    report: Report = field(default_factory=lambda: Report("support"))
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, why: Ended) -> None:
        """Ends it, or lets it only answer its ring."""
        self.report.ended = why
        self._over.set()

    async def claim(self) -> None:
        """Notes its begin and its end; one that only answers has no such time between."""
        self.log.append(f"{self.name} answers" if self._over.is_set() else f"{self.name} begins")
        await self._over.wait()
        await asyncio.sleep(0)  # its last turn
        self.log.append(f"{self.name} ends")


class Process:
    """One process's handover of one channel, and what its drains did."""

    def __init__(self) -> None:
        self.handover = Handover()
        self.log: list[str] = []
        self.drains: list[FullDrain] = []
        self._tasks: list[asyncio.Task[None]] = []

    def ring(self) -> FullDrain:
        """A task brings the next drain, named by a letter."""
        drain = FullDrain("abcdef"[len(self.drains)], self.log)
        self.drains.append(drain)
        self._tasks.append(asyncio.create_task(self.handover.claim(cast("Drain", drain))))
        return drain

    async def until(self, event: str) -> None:
        """Waits until that has happened."""
        await wait_until_async(lambda: _told(event in self.log), event, 5)

    async def close(self) -> None:
        """Ends all, as a worker that stops does."""
        for drain in self.drains:
            drain.end("shutdown")
        async with asyncio.timeout(5):
            await asyncio.gather(*self._tasks)


async def _told(value: object) -> object:
    return value


@pytest.fixture
async def process() -> AsyncIterator[Process]:
    """A process with no drain yet."""
    process = Process()
    yield process
    await process.close()


def _begun(log: Sequence[str]) -> list[str]:
    return [entry for entry in log if entry.endswith("begins")]


async def test_one_drain_at_a_time_claims(process: Process) -> None:
    """The next one begins when the last turn of the one before is over: it shall find the places that are left."""
    first = process.ring()
    await process.until("a begins")
    process.ring()
    await process.until("b begins")
    assert (process.log, first.report.ended) == (["a begins", "a ends", "b begins"], "slice")


async def test_a_full_process_takes_over_once_a_second(process: Process) -> None:
    """A ring that comes back within it is kept until then, and made again: an idle process has places for it."""
    process.ring()
    await process.until("a begins")
    process.ring()
    taken_over = time.monotonic()
    await process.until("b begins")
    third = process.ring()
    await process.until("c answers")
    assert time.monotonic() - taken_over > 0.9 * SECOND_S
    assert (_begun(process.log), third.report.ended) == (["a begins", "b begins"], "busy")
    process.ring()
    await process.until("d begins")
    assert process.drains[1].report.ended == "slice"


async def test_one_ring_at_a_time_is_kept(process: Process) -> None:
    """The one that waits answers for those that come meanwhile: wake-ups never add up."""
    for _ in range(2):
        process.ring()
    await process.until("b begins")
    process.ring()
    await asyncio.sleep(0)
    further = process.ring()
    await process.until("c answers")
    assert further.report.ended == "busy"
    assert not [entry for entry in process.log if entry.startswith("d")]


async def test_a_ring_that_is_kept_starts_a_drain_when_the_one_before_leaves(process: Process) -> None:
    """With work left and places that become free nobody waits for the second to be over."""
    for _ in range(2):
        process.ring()
    await process.until("b begins")
    process.ring()
    await asyncio.sleep(0)
    process.drains[1].end("slice")
    await process.until("c begins")
    assert process.log[-2:] == ["b ends", "c begins"]


async def test_a_stop_reaches_one_that_waits(process: Process) -> None:
    """It takes its one turn, which rings for other workers, and ends."""
    for _ in range(2):
        process.ring()
    await process.until("b begins")
    waits = process.ring()
    await asyncio.sleep(0)
    await process.close()
    assert (process.log[-1], waits.report.ended) == ("c ends", "shutdown")
