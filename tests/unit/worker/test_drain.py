"""A drain against turns and pushers of the test's own: no Redis, no API."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import pytest
from structlog.testing import capture_logs
from support.waiting import wait_until_async

from pushlane.outcome import Outcome
from pushlane_worker.drains.capacity import Capacity
from pushlane_worker.drains.drain import MAX_SETTLED, Drain, Ended, Report
from pushlane_worker.drains.push import FRESH_S, Pushers
from pushlane_worker.monitoring import read_trouble
from pushlane_worker.queue.outcome import PushResult
from pushlane_worker.queue.retry import NextStep
from pushlane_worker.queue.turns import ONLY_SETTLE, Claim, Settled, Settlement, Turn, Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushlane.tracing import Span
    from pushlane_worker.channels.channel import Channel
    from pushlane_worker.channels.http import PushClient
    from pushlane_worker.drains.push import Job

CHANNEL = "support"
NOTHING = Turn(-1, "empty", [], [], soon=False)
LATER = Turn(500, "gate", [], [])


def claim(name: bytes) -> Claim:
    """A batch of one message."""
    return Claim(
        name,
        b"d:0:0",
        probe=False,
        early_ms=0,
        message_ids=[name],
        records=[b""],
        details=[],
        claimed_ms=0,
        asked=0.0,
        deadline=0.0,
    )


def delivered(job: Job) -> None:
    """Ends a push well."""
    job.done(Settlement(job.claim, PushResult(Outcome.DELIVERED), NextStep()))


@dataclass
class FakeTurns:
    """Answers each turn with the next of these, or raises it; then with the last one.

    A drain that can claim nothing soon leaves when it has no push in flight, as the script says.
    """

    answers: list[Turn | Exception]
    channel: str = CHANNEL
    frees: list[int] = field(default_factory=list)
    settled: list[list[bytes]] = field(default_factory=list)
    settles: Settled = Settled.CURRENT
    before: Callable[[], None] = lambda: None
    """Called once, in the first turn that raises: what happens while Redis does not answer."""
    after: Callable[[], object] = lambda: None
    """Called once, as the next turn's reply arrives."""
    may_wait: bool = False
    message: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a script wakes the drain."""

    async def woken(self, timeout_s: float) -> None:
        """Waits for a message."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.message.wait()
                self.message.clear()

    async def take(self, free: int, busy: int, settlements: Sequence[Settlement], *, stays: bool) -> Turn:
        """Notes what it was asked."""
        self.frees.append(free)
        self.settled.append([settlement.claim.conversation for settlement in settlements])
        await asyncio.sleep(0)
        after, self.after = self.after, lambda: None
        after()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            self.before()
            raise answer
        leaves = not answer.soon and not busy and not (stays and answer.is_empty)
        return replace(answer, settled=[self.settles] * len(settlements), leaves=leaves)


@dataclass
class FakePushers:
    """Keeps the jobs; the test ends them."""

    jobs: list[Job] = field(default_factory=list)
    waits_for_a_turn: bool = False

    async def busy(self) -> bool:
        """Whether there is a job."""
        return bool(self.jobs)

    def note_gate(self, _asked: float, *, closed: bool) -> None:
        """Hears of the gate, which these answers never close."""
        assert not closed

    def submit(self, job: Job) -> None:
        """Takes a job."""
        self.jobs.append(job)


class SlowPushers(Pushers):
    """A coroutine whose pushes take longer than a turn's word of the gate is good for, and are delivered."""

    async def _push(self, claim: Claim, now: float, span: Span) -> PushResult:
        del claim, now, span
        await asyncio.sleep(2 * FRESH_S)
        return PushResult(Outcome.DELIVERED)

    def _settlement(self, claim: Claim, result: PushResult, took_s: float = 0.0) -> Settlement:
        return Settlement(claim, result, NextStep(), took_ms=round(took_s * 1000))


def make(
    *answers: Turn | Exception,
    slice_s: float = 60,
    limit: int = 4,
    capacity: Capacity | None = None,
    channel: str = CHANNEL,
) -> tuple[Drain, FakeTurns, FakePushers]:
    """A drain with these answers."""
    turns, pushers = FakeTurns(list(answers), channel), FakePushers()
    capacity = capacity or Capacity(limit, channels=1)
    drain = Drain(cast("Turns", turns), cast("Pushers", pushers), capacity, slice_s, Report(channel))
    return drain, turns, pushers


async def test_what_was_finished_outlives_a_turn_that_failed() -> None:
    """A delivery is never forgotten: the next turn settles it, before what was finished meanwhile."""
    claims = [claim(b"a"), claim(b"b")]
    drain, turns, pushers = make(Turn(-1, "gate", [], claims), ValueError("the reply made no sense"), NOTHING)
    turns.before = lambda: delivered(pushers.jobs[1])
    claiming = asyncio.create_task(drain.claim())
    await wait_until_async(lambda: _soon(pushers.jobs), "the claims to be pushed")
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
    await wait_until_async(lambda: _soon(pushers.jobs), "the claims to be pushed")
    for job in pushers.jobs:
        delivered(job)
    async with asyncio.timeout(5):
        await claiming
        await drain.settle()
    assert [name for settled in turns.settled for name in settled] == names
    assert max(len(settled) for settled in turns.settled) == MAX_SETTLED
    assert drain.settled


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


async def _soon(things: Sequence[object]) -> Sequence[object]:
    return things


async def test_a_full_drain_notices_by_itself_that_another_gave_a_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The places may be another channel's or an earlier drain's, which wakes nobody: it looks each 20 ms."""
    monkeypatch.setattr("pushlane_worker.drains.drain.VOUCH_S", 60)  # after which it would look anyhow
    drain, turns, _ = make(LATER, limit=1, slice_s=60)
    drain.capacity.reserve(CHANNEL, 1)
    claiming = asyncio.create_task(drain.claim())
    await wait_until_async(lambda: _soon(turns.frees), "the first turn")
    drain.capacity.release(CHANNEL)
    await wait_until_async(lambda: _soon(turns.frees[1:]), "the second turn")
    drain.end("shutdown")
    await claiming
    assert turns.frees[:2] == [0, 1]
    assert turns.frees[-1] == ONLY_SETTLE


async def test_a_full_drain_takes_a_turn_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no place it still vouches for the ring that is out, which would lapse."""
    monkeypatch.setattr("pushlane_worker.drains.drain.VOUCH_S", 0.01)
    drain, turns, _ = make(LATER, limit=1)
    drain.capacity.reserve(CHANNEL, 1)
    claiming = asyncio.create_task(drain.claim())
    await wait_until_async(lambda: _soon(turns.frees[2:]), "the third turn")
    drain.end("shutdown")
    await claiming
    assert set(turns.frees[:-1]) == {0}


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
    await wait_until_async(lambda: _soon(turns.frees), "the first turn")
    drain.end("shutdown")
    async with asyncio.timeout(5):
        await claiming
    assert (drain.report.ended, turns.frees[-1]) == ("shutdown", ONLY_SETTLE)


@pytest.mark.parametrize(
    ("settles", "dead_lettered"), [(Settled.CURRENT, 1), (Settled.SPARED, 0), (Settled.STALE, 0)], ids=str
)
async def test_only_what_died_is_counted_as_dead_lettered(settles: Settled, dead_lettered: int) -> None:
    """A rejection that the channel is blamed for kills nothing, and neither does one that came too late."""
    drain, turns, pushers = make(Turn(-1, "empty", [], [claim(b"a")]), NOTHING)
    turns.settles = settles
    claiming = asyncio.create_task(drain.claim())
    await wait_until_async(lambda: _soon(pushers.jobs), "the claim to be pushed")
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


async def test_drains_of_two_channels_never_claim_into_the_same_places() -> None:
    """What one has asked for is taken until Redis answers, and what it did not get is free again."""
    capacity = Capacity(8, channels=2)
    (one, first, _), (two, second, _) = (make(LATER, capacity=capacity, channel=name) for name in ("one", "two"))
    claiming = [asyncio.create_task(drain.claim()) for drain in (one, two)]
    await wait_until_async(lambda: _soon(first.frees and second.frees), "both to have asked")
    assert (first.frees[0], second.frees[0]) == (9, 1), "an eighth is the other one's, a quarter is claimed ahead"
    await wait_until_async(lambda: _soon(second.frees[1:]), "the second turn")
    assert second.frees[1] == 4
    for drain in (one, two):
        drain.end("shutdown")
    await asyncio.gather(*claiming)
    assert (capacity.free("one"), capacity.free("two")) == (9, 9)


async def test_a_turn_that_fails_keeps_no_places() -> None:
    """They were taken for what it would have claimed."""
    drain, _, _ = make(ValueError("the reply made no sense"))
    with pytest.raises(ValueError, match="no sense"):
        await drain.claim()
    assert drain.capacity.free(CHANNEL) == 5
