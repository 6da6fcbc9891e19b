"""However operations interleave and processes die, the spool is a list."""

# ruff: noqa: ASYNC240 # a test has its event loop to itself, and may look at the disk on it

import asyncio
import os
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from support.spool import FRAME, drained, left_behind, numbered

from pushlane.callback.decisions.spool import Spool
from pushlane.callback.decisions.spool_files import Files

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 5)),
        st.tuples(st.just("read"), st.integers(0, 12)),
        st.tuples(st.just("confirm"), st.integers(0, 12)),
        st.tuples(st.just("adopt"), st.just(0)),
        st.tuples(st.just("wait"), st.just(0)),
        st.tuples(st.just("die"), st.integers(1, 3)),
    ),
    max_size=30,
)


class Course:
    """A spool and its model as lists: steps are started one after the other, without waiting for the ones before."""

    def __init__(self, spool: Spool, directory: Path) -> None:
        self.spool = spool
        self.directory = directory
        self.count = 0
        self.dead: list[bytes] = []
        self.adopted: list[bytes] = []
        self.own: list[bytes] = []
        self.handed: list[bytes] = []
        self.under_way: list[asyncio.Task[None]] = []

    async def step(self, step: str, number: int) -> None:
        """One step."""
        match step:
            case "append":
                for payload in self._new(number):
                    self.own.append(payload)
                    self._start(self.spool.append(payload))
            case "read":
                self.handed = [*self.adopted, *self.own][:number]
                self._start(self._read(number, list(self.handed)))
            case "confirm":
                confirmed, self.handed = self.handed[:number], self.handed[number:]
                self.adopted = [payload for payload in self.adopted if payload not in confirmed]
                self.own = [payload for payload in self.own if payload not in confirmed]
                self._start(self.spool.confirm(len(confirmed)))
            case "adopt":
                self.adopted += self.dead
                self.dead.clear()
                self._start(self.spool.adopt())
            case "die":
                await self.wait()
                self.dead += (payloads := self._new(number))
                await left_behind(self.directory, payloads)
            case "wait":
                await self.wait()

    async def wait(self) -> None:
        """Until all of them are done."""
        await asyncio.gather(*self.under_way)
        self.under_way.clear()
        assert self.spool.empty == (not self.adopted and not self.own)

    async def _read(self, most: int, expected: list[bytes]) -> None:
        payloads = await self.spool.read(most)
        assert len(payloads) <= most
        assert payloads[: len(expected)] == expected
        # Appends that were started after it may have shared an fsync with one before it.
        more = payloads[len(expected) :]
        assert more == sorted(more)

    def _new(self, count: int) -> list[bytes]:
        self.count += count
        return numbered(*range(self.count - count, self.count))

    def _start(self, asked: Coroutine[Any, Any, None]) -> None:
        self.under_way.append(asyncio.create_task(asked))


async def run_steps(directory: Path, steps: list[tuple[str, int]]) -> None:
    """Runs a course to its end."""
    spool = await Spool.open(directory)
    course = Course(spool, directory)
    for step, number in [*steps, ("wait", 0), ("adopt", 0), ("wait", 0)]:
        await course.step(step, number)
    assert await drained(spool) == [*course.adopted, *course.own]
    await spool.aclose()
    assert list(directory.iterdir()) == []


@given(STEPS)
def test_it_is_a_list_however_its_operations_interleave(steps: list[tuple[str, int]]) -> None:
    """Appends, reads, confirmations and adoptions at once: each sees what was requested before it."""
    with tempfile.TemporaryDirectory() as directory, mock.patch("os.fsync"):
        asyncio.run(run_steps(Path(directory), steps))


@given(st.lists(st.tuples(st.sampled_from(["append", "feed", "die"]), st.integers(1, 6)), max_size=40))
def test_small_files_and_deaths_lose_nothing_and_repeat_only_what_was_fed(steps: list[tuple[str, int]]) -> None:
    """Files are retired and read again after a death: what comes back is the end of what was kept, without a gap."""
    with tempfile.TemporaryDirectory() as name, mock.patch("os.fsync"):
        directory = Path(name)
        files = Files(directory, 8 * FRAME)
        kept: list[bytes] = []
        confirmed = 0
        for step, number in [*steps, ("die", 1)]:
            match step:
                case "append":
                    payloads = numbered(*range(len(kept), len(kept) + number))
                    fits = files.append(payloads)
                    assert sum(fits) == number or len(kept) + number - confirmed > 4, "less than half full is not full"
                    kept += [payload for payload, fit in zip(payloads, fits, strict=True) if fit]
                case "feed":
                    payloads = files.read(number)
                    assert payloads == kept[confirmed : confirmed + number]
                    files.confirm(len(payloads))
                    confirmed += len(payloads)
                case "die":
                    for file in files._all:
                        os.close(file.fd)
                    files = Files(directory, 8 * FRAME)
                    again = files.read(1000)
                    assert again == kept[len(kept) - len(again) :]
                    assert len(again) >= len(kept) - confirmed
                    confirmed = len(kept) - len(again)
            assert files.empty == (confirmed == len(kept))
        files.confirm(len(again))
        files.close()
        assert list(directory.iterdir()) == []
