"""The gate: when a channel stops pushing, how it finds out that it may again, and how carefully it then begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.queue import LEASE_MS, Queue, room, settle, unsent

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis import Redis

    from pushlane_worker.queue.turns import Claim

HOUR_MS = 3_600_000
LONG_BACKOFF_MS = 200_000


def _rooms(queue: Queue, count: int) -> None:
    for n in range(count):
        queue.enqueue(f"r{n}", f"m{n}")


def _fail(queue: Queue, claims: Iterable[Claim], outcome: Outcome = Outcome.FAILED) -> None:
    queue.turn(*(settle(claim, outcome, wait_ms=LONG_BACKOFF_MS, dead="0") for claim in claims), free=-1)


def _broken(redis: Redis, conversations: int = 6, **fields: int) -> Queue:
    """A queue whose gate broke just now, at its second failure in a row."""
    queue = Queue(redis, "support", breaker_after=2, **fields)
    _rooms(queue, conversations)
    _fail(queue, queue.turn(free=2).claims)
    assert queue.gate()["state"] == "broken"
    return queue


def _probe(queue: Queue, after_ms: int) -> Claim:
    """The one probe, which goes out after this many ms and not one earlier."""
    queue.now += after_ms - 1
    early = queue.turn()
    assert (early.claims, early.wait_ms) == ((), 1)
    queue.now += 1
    (claim,) = queue.turn().claims
    assert claim.probe
    return claim


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.UNKNOWN])
def test_the_gate_breaks_after_failures_in_a_row_across_conversations(redis: Redis, outcome: Outcome) -> None:
    """Ten different rooms that fail say that the API is away, not that a room is bad."""
    queue = Queue(redis, breaker_after=10)
    _rooms(queue, 20)
    for _ in range(9):
        _fail(queue, queue.turn(free=1).claims, outcome)
    assert queue.gate()["state"] == "open"
    _fail(queue, queue.turn(free=1).claims, outcome)
    assert (queue.gate()["state"], queue.gate()["reason"]) == ("broken", "failing: said so")
    assert queue.turn().claims == ()


def test_a_delivery_between_failures_keeps_the_gate_open(redis: Redis) -> None:
    """Only failures in a row count."""
    queue = Queue(redis, breaker_after=3)
    _rooms(queue, 20)
    for _ in range(4):
        _fail(queue, queue.turn(free=2).claims)
        queue.turn(*(settle(claim) for claim in queue.turn(free=1).claims), free=-1)
    assert queue.gate()["state"] == "open"


def test_a_broken_gate_lets_one_probe_through_at_a_time(redis: Redis) -> None:
    """A second one waits for the first one's outcome, however long that takes and whoever asks."""
    queue = _broken(redis)
    _probe(queue, 1000)
    queue.now += LEASE_MS - 1
    other = queue.turn(drain="other")
    assert (other.claims, other.wait_ms) == ((), -1)


def test_a_probe_that_was_not_sent_makes_room_for_another_at_once(redis: Redis) -> None:
    """It says nothing about the API."""
    queue = _broken(redis)
    turn = queue.turn(unsent(_probe(queue, 1000)))
    assert [claim.probe for claim in turn.claims] == [True]


def test_a_probe_whose_worker_died_makes_room_for_another(redis: Redis) -> None:
    """Its lost lease is a failed probe: a crash in the wrong moment closes no channel for ever."""
    queue = _broken(redis)
    _probe(queue, 1000)
    queue.sweep_for(LEASE_MS)
    queue.expire(queue.sweep_for(1000).expired, dead="0", wait_ms=LONG_BACKOFF_MS)
    queue.now += 60_000
    assert [claim.probe for claim in queue.turn().claims] == [True]


def test_a_probe_waits_a_fifth_of_the_outages_age(redis: Redis) -> None:
    """At least a second, at most the cap: a short outage is over at once, a long one is not hammered."""
    queue = _broken(redis, conversations=40, breaker_cap_ms=60_000)
    began = queue.now
    waits: list[int] = []
    claim = _probe(queue, 1000)
    while not waits or waits[-1] < 60_000:
        _fail(queue, [claim])
        wait = max(1000, min((queue.now - began) // 5, 60_000))
        waits.append(wait)
        claim = _probe(queue, wait)
    assert waits[:6] == [1000] * 5 + [1200]
    assert len(waits) < 40


def test_a_delivered_probe_opens_the_gate_and_releases_what_it_delayed(redis: Redis) -> None:
    """Conversations that backed off because of the outage do not wait any longer."""
    queue = _broken(redis, conversations=3)
    turn = queue.turn(settle(_probe(queue, 1000)))
    assert queue.gate()["state"] == "open"
    assert turn.batches == ["m0", "m1"]
    assert not any(claim.probe for claim in turn.claims)


def test_a_release_of_very_many_conversations_is_spread_over_calls(redis: Redis) -> None:
    """2,500 of them: no call moves more than a thousand, and sweeps say that there is more."""
    queue = _broken(redis, conversations=3)
    redis.zadd(queue.prefix + "delayed", {f"far{n}": queue.now + LONG_BACKOFF_MS + n for n in range(2498)})
    queue.turn(settle(_probe(queue, 1000)), free=-1)
    assert redis.zcard(queue.prefix + "delayed") == 1500
    assert queue.sweep().more
    assert redis.zcard(queue.prefix + "delayed") == 500
    assert not queue.sweep().more
    assert redis.zcard(queue.prefix + "delayed") == 0
    _fail(queue, [queue.turn(free=1).claims[0]])
    queue.now += 1000
    queue.sweep()
    assert redis.zcard(queue.prefix + "delayed") == 1, "the release is over"


def _round(queue: Queue, claims: Sequence[Claim]) -> Sequence[Claim]:
    return queue.turn(*(settle(claim) for claim in claims)).claims


def test_the_cap_starts_at_four_and_doubles_each_round(redis: Redis) -> None:
    """After a break an API meets 4, 8, 16 … pushes, not all slots of all workers at once."""
    queue = _broken(redis, conversations=100)
    claims: Sequence[Claim] = queue.turn(settle(_probe(queue, 1000))).claims
    rounds = [len(claims)]
    for _ in range(3):
        claims = _round(queue, claims)
        rounds.append(len(claims))
    assert rounds == [4, 8, 16, 32]


def test_the_cap_doubles_also_when_pushes_end_one_by_one(redis: Redis) -> None:
    """Each success makes room for two."""
    queue = Queue(redis)
    _rooms(queue, 100)
    flying = list(queue.turn().claims)
    for _ in range(4):
        flying += queue.turn(settle(flying.pop(0))).claims
    assert len(flying) == 8


def _backing_off(redis: Redis) -> tuple[Queue, Claim]:
    """A broken gate with nothing but conversations that back off, and the probe that goes out all the same."""
    queue = Queue(redis, breaker_after=2)
    _rooms(queue, 2)
    far, near = queue.turn(free=2).claims
    failed = (
        settle(far, Outcome.FAILED, wait_ms=90_000, dead="0"),
        settle(near, Outcome.FAILED, wait_ms=60_000, dead="0"),
    )
    queue.turn(*failed, free=-1)
    return queue, _probe(queue, 1000)


def test_with_nothing_ready_the_conversation_that_is_due_first_is_the_probe(redis: Redis) -> None:
    """An outage lasts no longer because the few conversations there are back off; and only one of them goes out."""
    queue, claim = _backing_off(redis)
    assert (room(claim), claim.early_ms) == ("r1", 59_000)
    assert (queue.places("r1"), queue.places("r0")) == (["leases"], ["delayed"])
    turn = queue.turn(settle(claim))
    assert (queue.gate()["state"], turn.batches, turn.claims[0].early_ms) == ("open", ["m0"], 0)


def test_what_is_ready_is_probed_before_what_backs_off(redis: Redis) -> None:
    """Nobody's wait is cut short while another conversation can find out."""
    queue = _broken(redis, conversations=3)
    claim = _probe(queue, 1000)
    assert (room(claim), claim.early_ms) == ("r2", 0)


def test_a_probe_before_its_time_that_fails_waits_on_and_costs_nothing(redis: Redis) -> None:
    """A long outage spends no message's attempts on probes: it is due when it was before, probe after probe."""
    queue, claim = _backing_off(redis)
    due, attempts = queue.now + 59_000, queue.header("m1").attempts
    for _ in range(5):
        assert (room(claim), claim.early_ms) == ("r1", due - queue.now)
        queue.turn(settle(claim, Outcome.FAILED, wait_ms=claim.early_ms), free=-1)
        assert queue.gate()["state"] == "broken"
        assert (queue.places("r1"), redis.zscore(queue.prefix + "delayed", "r1")) == (["delayed"], due)
        claim = _probe(queue, 1000)
    assert queue.header("m1").attempts == attempts == 1
    assert queue.counters().get("dead", 0) == 0


@pytest.mark.parametrize("asked_ms", [1500, 600_000])
def test_a_throttled_channel_waits_as_long_as_it_was_asked(redis: Redis, asked_ms: int) -> None:
    """Retry-After is obeyed to the millisecond, for all conversations; then it begins slowly."""
    queue = Queue(redis)
    _rooms(queue, 10)
    queue.turn(settle(queue.turn(free=1).claims[0], Outcome.THROTTLED, wait_ms=asked_ms), free=-1)
    queue.now += asked_ms - 1
    assert queue.turn().claims == ()
    queue.now += 1
    claims = queue.turn().claims
    assert [claim.probe for claim in claims] == [False] * 4


def test_a_channel_that_is_throttled_again_waits_longer_each_time(redis: Redis) -> None:
    """Without Retry-After: 1, 2, 4 … 60 s; a delivery starts that anew."""
    queue = Queue(redis)
    queue.enqueue("a", *(f"a{n}" for n in range(20)))
    waits = []
    for _ in range(8):
        (claim,) = queue.turn().claims
        waits.append(queue.turn(settle(claim, Outcome.THROTTLED, wait_ms=-1), free=-1).wait_ms)
        queue.now += waits[-1]
    assert waits == [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]
    (claim,) = queue.turn(settle(queue.turn().claims[0])).claims
    assert queue.turn(settle(claim, Outcome.THROTTLED, wait_ms=-1), free=-1).wait_ms == 1000


def test_many_pushes_throttled_at_once_count_once(redis: Redis) -> None:
    """64 pushes that were in flight together are one reason to wait, not 64."""
    queue = Queue(redis)
    redis.hset(queue.prefix + "gate", mapping={"state": "open", "cap": 64})
    _rooms(queue, 64)
    claims = queue.turn().claims
    assert len(claims) == 64
    queue.turn(*(settle(claim, Outcome.THROTTLED, wait_ms=-1) for claim in claims[:32]), free=-1)
    last = queue.turn(*(settle(claim, Outcome.THROTTLED, wait_ms=-1) for claim in claims[32:]), free=-1)
    assert last.wait_ms == 1000
    queue.now += 1000
    queue.turn(settle(queue.turn(free=1).claims[0], Outcome.THROTTLED, wait_ms=-1), free=-1)
    assert int(queue.gate()["until"]) - queue.now == 2000


def test_a_misconfigured_channel_breaks_at_once_and_kills_nothing(redis: Redis) -> None:
    """A wrong token is nobody's fault in the queue: two others are asked, then one probe each 30 s; nothing dies."""
    queue = Queue(redis)
    _rooms(queue, 6)
    asked = _refuse(queue, 3)
    assert (queue.gate()["state"], queue.gate()["reason"]) == ("broken", "misconfigured: 401")
    for _ in range(5):
        claim = _probe(queue, 30_000)
        asked.append(room(claim))
        queue.turn(settle(claim, Outcome.MISCONFIGURED, detail="401", dead="1", reason="a"), free=-1)
    assert asked == ["r0", "r1", "r2", "r3", "r4", "r5", "r0", "r1"], "each before one is asked again"
    assert [queue.header(f"m{n}").attempts for n in range(6)] == [0] * 6
    assert queue.counters().get("dead", 0) == 0
    turn = queue.turn(settle(_probe(queue, 30_000)))
    assert (queue.gate()["state"], len(turn.claims)) == ("open", 4)


def _refuse(queue: Queue, times: int) -> list[str]:
    """So many refusals in a row, of the only push that is out; whose they were."""
    asked = []
    for _ in range(times):
        (claim,) = queue.turn(free=1).claims
        asked.append(room(claim))
        queue.turn(settle(claim, Outcome.MISCONFIGURED, detail="401", dead="1", reason="a"), free=-1)
    return asked


@pytest.mark.parametrize(
    "outcome", [Outcome.DELIVERED, Outcome.FAILED, Outcome.UNKNOWN, Outcome.THROTTLED, Outcome.MISCONFIGURED]
)
def test_an_outcome_from_before_the_gates_last_change_moves_it_no_more(redis: Redis, outcome: Outcome) -> None:
    """What was pushed before the break says nothing about the API after it."""
    queue = Queue(redis, breaker_after=2)
    _rooms(queue, 4)
    old, *others = queue.turn(free=3).claims
    _fail(queue, others)
    before = queue.gate()
    assert before["state"] == "broken"
    queue.now += 100
    queue.turn(settle(old, outcome, wait_ms=100, dead="0"), free=-1)
    assert queue.gate() == before


@pytest.mark.parametrize("kind", ["throttled", "failing", "misconfigured"])
def test_a_clock_that_steps_back_keeps_no_gate_closed(redis: Redis, kind: str) -> None:
    """An hour back: the wait is longer than its kind can be, so it is void."""
    queue = Queue(redis, breaker_after=1, retry_after_cap_ms=HOUR_MS)
    _rooms(queue, 4)
    if kind == "misconfigured":
        _refuse(queue, 3)
    else:
        outcome = {"throttled": Outcome.THROTTLED, "failing": Outcome.FAILED}[kind]
        queue.turn(settle(queue.turn(free=1).claims[0], outcome, wait_ms=10_000, dead="0"), free=-1)
    assert queue.turn().claims == ()
    queue.now -= HOUR_MS
    assert len(queue.turn().claims) == (4 if kind == "throttled" else 1)


def test_a_clock_that_steps_back_in_an_outage_shortens_the_next_wait(redis: Redis) -> None:
    """The outage's age would be negative; the probe then waits a second."""
    queue = _broken(redis)
    queue.now -= HOUR_MS
    (claim,) = queue.turn().claims
    _fail(queue, [claim])
    _probe(queue, 1000)
