"""What a drain settles, and what it reports of it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, cast

import pytest
from support.drains import CHANNEL, NOTHING, SlowPushers, claim, delivered, make, soon
from support.waiting import wait_until_async

from pushlane.outcome import Outcome
from pushlane_worker.drains.drain import MAX_SETTLED, Report
from pushlane_worker.drains.push import FRESH_S
from pushlane_worker.monitoring import read_trouble
from pushlane_worker.queue.outcome import PushResult
from pushlane_worker.queue.retry import NextStep
from pushlane_worker.queue.turns import Settled, Settlement, Turn

if TYPE_CHECKING:
    from pushlane_worker.channels.channel import Channel
    from pushlane_worker.channels.http import PushClient


async def test_what_was_finished_outlives_a_turn_that_failed() -> None:
    """A delivery is never forgotten: the next turn settles it, before what was finished meanwhile."""
    claims = [claim(b"a"), claim(b"b")]
    drain, turns, pushers = make(Turn(-1, "gate", [], claims), ValueError("the reply made no sense"), NOTHING)
    turns.before = lambda: delivered(pushers.jobs[1])
    claiming = asyncio.create_task(drain.claim())
    await wait_until_async(lambda: soon(pushers.jobs), "the claims to be pushed")
    delivered(pushers.jobs[0])
    with pytest.raises(ValueError, match="no sense"):
        await claiming
    assert not drain.settled
    async with asyncio.timeout(5):
        await drain.settle()
    assert turns.settled[1:] == [[b"a"], [b"a", b"b"]]
    assert (drain.settled, drain.report.delivered, drain.report.outcomes) == (True, 2, {Outcome.DELIVERED: 2})


async def test_what_finished_while_redis_was_away_is_settled_in_many_turns() -> None:
    """However many pushes it was, no turn holds Redis for long; and the drain does not leave before the last."""
    names = [b"%d" % n for n in range(130)]
    answer = Turn(-1, "empty", [], [claim(name) for name in names], soon=False)
    drain, turns, pushers = make(answer, NOTHING, limit=200)
    claiming = asyncio.create_task(drain.claim())
    await wait_until_async(lambda: soon(pushers.jobs), "the claims to be pushed")
    for job in pushers.jobs:
        delivered(job)
    async with asyncio.timeout(5):
        await claiming
        await drain.settle()
    assert [name for settled in turns.settled for name in settled] == names
    assert max(len(settled) for settled in turns.settled) == MAX_SETTLED
    assert drain.settled


@pytest.mark.parametrize(
    ("settles", "dead_lettered"), [(Settled.CURRENT, 1), (Settled.SPARED, 0), (Settled.STALE, 0)], ids=str
)
async def test_only_what_died_is_counted_as_dead_lettered(settles: Settled, dead_lettered: int) -> None:
    """A rejection that the channel is blamed for kills nothing, and neither does one that came too late."""
    drain, turns, pushers = make(Turn(-1, "empty", [], [claim(b"a")]), NOTHING)
    turns.settles = settles
    claiming = asyncio.create_task(drain.claim())
    await wait_until_async(lambda: soon(pushers.jobs), "the claim to be pushed")
    rejected = PushResult(Outcome.REJECTED, "HTTP 400")
    pushers.jobs[0].done(Settlement(pushers.jobs[0].claim, rejected, NextStep(dead="1", reason="r")))
    await claiming
    assert (drain.report.dead_lettered, drain.report.outcomes) == (dead_lettered, {Outcome.REJECTED: 1})


@pytest.mark.alone
def test_a_drain_tells_why_messages_died_and_not_how_others_arrived() -> None:
    """What a monitor shows as the reason is the answer of the push that they died of."""
    report = Report(CHANNEL)
    report.add(Settlement(claim(b"r1"), PushResult(Outcome.DELIVERED, "HTTP 200, code 0"), NextStep()), Settled.CURRENT)
    unknown = PushResult(Outcome.UNKNOWN, "no complete answer within 10 s")
    report.add(Settlement(claim(b"r2"), unknown, NextStep(dead="1")), Settled.CURRENT)
    trouble = str(read_trouble(report))
    assert trouble == "support: 1 of 2 messages were dead-lettered: no complete answer within 10 s"


async def test_what_waits_for_word_of_the_gate_gets_it_after_its_drain_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process too busy to use a turn's answer lets nothing wait for ever: the drain asks again."""
    monkeypatch.setattr("pushlane_worker.drains.drain.VOUCH_S", 0.05)
    drain, turns, _ = make(Turn(-1, "empty", [], [claim(b"a"), claim(b"b")]), NOTHING, slice_s=0.01)
    drain.pushers = SlowPushers(cast("Channel", None), cast("PushClient", None), deadline_s=1, count=1)
    await drain.claim()
    # Only the turn that settles the first push is followed by such a delay.
    turns.after = lambda: asyncio.get_running_loop().call_soon(time.sleep, 1.5 * FRESH_S)
    async with asyncio.timeout(3):
        await drain.settle()
    assert (drain.report.delivered, turns.settled[-1]) == (2, [b"b"])
    await drain.pushers.close()
