"""What a drain waits for, and what it says when it ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs
from support.drains import LATER, claim, delivered, make, soon
from support.waiting import wait_until_async

from pushlane_worker.queue.turns import ONLY_SETTLE, Turn

if TYPE_CHECKING:
    from pushlane_worker.drains.drain import Ended


@pytest.mark.parametrize(
    ("turn", "lines"),
    [
        (Turn(5000, "rate", [], [], soon=False), [5.0]),
        (Turn(900, "rate", [], [], soon=False), []),
        (Turn(-1, "rate", [], [], soon=False), []),
        (Turn(5000, "gate", [], [], soon=False), []),
    ],
)
async def test_who_uses_up_the_rate_says_how_long_its_channel_waits(turn: Turn, lines: list[float]) -> None:
    """Once, if it lasts over a second; a drain that finds nothing left says nothing."""
    with capture_logs() as logs:
        for answers in ([Turn(-1, "rate", [], [claim(b"a")], soon=False), turn], [turn]):
            drain, _, pushers = make(*answers)
            claiming = asyncio.create_task(drain.claim())
            await asyncio.wait({claiming}, timeout=5)
            for job in pushers.jobs:
                delivered(job)
            await drain.settle()
    assert [line["next_s"] for line in logs if line["event"] == "rate.waits"] == lines


@pytest.mark.parametrize(
    ("turn", "ended"),
    [
        (Turn(-1, "empty", [], [], soon=False), "empty"),
        (Turn(5000, "empty", [], [], soon=False), "empty"),
        (Turn(5000, "rate", [], [], soon=False), "rate"),
        (Turn(-1, "rate", [], [], soon=False), "rate"),
        (Turn(5000, "gate", [], [], soon=False), "gate"),
        (Turn(-1, "gate", [], [], soon=False), "gate"),
    ],
)
async def test_a_drain_that_has_nothing_to_do_says_what_it_waited_for(turn: Turn, ended: Ended) -> None:
    """Operators see why a channel stands still, in the words of the script that knows."""
    drain, turns, _ = make(turn)
    await drain.claim()
    assert (drain.report.ended, turns.frees) == (ended, [5])


async def test_a_drain_waits_for_the_next_message_of_an_empty_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is idle meanwhile, so its process takes other tasks; it claims as soon as it is woken."""
    monkeypatch.setattr("pushlane_worker.drains.drain.LOOK_S", 60)
    monkeypatch.setattr("pushlane_worker.drains.drain.LINGER_S", 60)
    empty = Turn(-1, "empty", [], [], is_empty=True, soon=False)
    drain, turns, pushers = make(empty, Turn(-1, "empty", [], [claim(b"a")], is_empty=True), empty)
    turns.may_wait = True
    claiming = asyncio.ensure_future(drain.claim())
    async with asyncio.timeout(5):
        await drain.idle.wait()
        assert drain.is_idle
        with drain.capacity.drain("another"):
            assert drain.capacity.share("another") == drain.capacity.alone
        turns.message.set()
        await wait_until_async(pushers.busy, "the claim")
        delivered(pushers.jobs[0])
        drain.end("shutdown")
        await claiming
    assert (drain.report.ended, turns.frees) == ("shutdown", [5, 5, ONLY_SETTLE])


async def test_a_drain_waits_no_longer_than_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a ring brings the next one."""
    monkeypatch.setattr("pushlane_worker.drains.drain.LOOK_S", 0.01)
    monkeypatch.setattr("pushlane_worker.drains.drain.LINGER_S", 0.03)
    drain, turns, _ = make(Turn(-1, "empty", [], [], is_empty=True, soon=False))
    turns.may_wait = True
    async with asyncio.timeout(5):
        await drain.claim()
    assert (drain.report.ended, turns.frees[-1]) == ("empty", ONLY_SETTLE)


async def test_a_drain_whose_pushes_hang_says_what_it_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves soon, with the last turn's word; the pushes are settled later."""
    monkeypatch.setattr("pushlane_worker.drains.drain.LINGER_S", 0.03)
    drain, turns, pushers = make(Turn(-1, "empty", [], [claim(b"a")]), Turn(-1, "rate", [], [], soon=False))
    async with asyncio.timeout(5):
        await drain.claim()
    assert (drain.report.ended, drain.settled, turns.frees[-1]) == ("rate", False, ONLY_SETTLE)
    delivered(pushers.jobs[0])
    async with asyncio.timeout(5):
        await drain.settle()
    assert drain.report.delivered == 1


async def test_a_drain_whose_slice_is_over_says_so() -> None:
    """There may be more: its task ended because others want their turn."""
    drain, turns, _ = make(LATER, slice_s=0.05)
    async with asyncio.timeout(5):
        await drain.claim()
    assert (drain.report.ended, turns.frees[-1]) == ("slice", ONLY_SETTLE)


async def test_a_drain_that_is_stopped_says_so() -> None:
    """A worker that ends leaves its work to the others, and rings for it."""
    drain, turns, _ = make(LATER)
    claiming = asyncio.create_task(drain.claim())
    await wait_until_async(lambda: soon(turns.frees), "the first turn")
    drain.end("shutdown")
    async with asyncio.timeout(5):
        await claiming
    assert (drain.report.ended, turns.frees[-1]) == ("shutdown", ONLY_SETTLE)
