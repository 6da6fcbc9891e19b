"""Settlements: what each outcome does to its batch, its conversation and the counters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.queue import LEASE_MS, Queue, settle, unsent

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from redis import Redis

DAY_MS = 86_400_000


def test_a_stale_token_settles_nothing(redis: Redis) -> None:
    """A worker that wakes up after its lease was given to another changes neither queue nor counters."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    frozen = queue.turn(drain="frozen").claims[0]
    queue.now += LEASE_MS + 1
    queue.expire([frozen])
    current = queue.turn(drain="next").claims[0]
    before = queue.counters()
    late = queue.turn(settle(frozen), drain="frozen")
    assert late.settled == (0,)
    assert (queue.waiting("a"), queue.places("a")) == ("a1", ["leases"])
    assert queue.counters() == before | {"settled_stale": 1}
    assert queue.turn(settle(current), drain="next").settled == (1,)
    queue.assert_counters()


def test_a_late_settle_is_good_while_nobody_else_holds_the_lease(redis: Redis) -> None:
    """After the deadline, but before a sweep took the lease away, the truth is welcome."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    claim = queue.turn().claims[0]
    queue.now += 10 * LEASE_MS
    assert queue.turn(settle(claim)).settled == (1,)
    assert queue.header("a1").state == "delivered"
    assert redis.xlen(queue.prefix + "unknown") == 0


@pytest.mark.parametrize(
    ("retention_ms", "idempotency_ms", "kept_ms"),
    [(DAY_MS, 3_600_000, DAY_MS), (60_000, DAY_MS, DAY_MS - 10_000), (60_000, 5_000, 60_000)],
)
def test_a_delivered_message_is_remembered_without_its_text(
    redis: Redis, retention_ms: int, idempotency_ms: int, kept_ms: int
) -> None:
    """It is kept for the retention and at least for the rest of the idempotency window, without its text."""
    queue = Queue(redis, retention_ms=retention_ms, idempotency_ms=idempotency_ms)
    queue.enqueue("a", "a1", address=b'["alice",null]', body=b"secret text")
    claim = queue.turn().claims[0]
    queue.now += 10_000
    queue.turn(settle(claim), free=-1)
    header = queue.header("a1")
    assert (header.state, header.final_ms, header.pushed_ms) == ("delivered", queue.now, queue.now)
    assert (queue.record("a1"), queue.content("a1"), header.attempts) == (b"", ("a", b"", b""), 1)
    assert not [key for key in redis.keys(queue.prefix + "*") if b"secret" in (redis.dump(key) or b"")]
    (kept,) = redis.keys(queue.prefix + "tombstones:*")
    longest = max(retention_ms, idempotency_ms)
    assert longest - 5_000 < redis.pttl(kept) <= longest
    queue.now += kept_ms - 1
    assert queue.status("a1")
    assert queue.enqueue_again("a1")[0].duplicate
    queue.now += 1
    assert queue.status("a1") is None
    queue.now -= kept_ms
    assert redis.exists(queue.prefix + "conversation:a") == 0
    assert queue.places("a") == []
    queue.assert_counters()


def test_generations_of_tombstones_follow_each_other(redis: Redis) -> None:
    """What still counts is found in the last two of them, and each lasts as long as a tombstone counts."""
    queue, hour_ms = Queue(redis, retention_ms=3_600_000, idempotency_ms=60_000), 3_600_000
    for name in ("a1", "a2", "a3", "a4"):
        queue.enqueue("a", name)
        queue.turn(settle(queue.turn().claims[0]), free=-1)
        queue.now += hour_ms // 2
    states = [queue.status(name) for name in ("a1", "a2", "a3", "a4")]
    assert [state is not None for state in states] == [False, False, False, True]
    queue.now -= hour_ms // 2 + 1
    assert [queue.enqueue_again(name)[0].duplicate for name in ("a2", "a3", "a4")] == [True] * 3
    keys: list[bytes] = list(redis.scan_iter(queue.prefix + "tombstones:*"))
    assert len({key.rpartition(b":")[0] for key in keys}) == 2


@pytest.mark.parametrize(("outcome", "maybe"), [(Outcome.FAILED, False), (Outcome.UNKNOWN, True)])
def test_a_failure_costs_an_attempt_and_a_wait(redis: Redis, outcome: Outcome, maybe: bool) -> None:  # noqa: FBT001 # pytest's table
    """Only an unknown outcome marks its messages as perhaps delivered, and the mark stays."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2")
    queue.turn(settle(queue.turn().claims[0], outcome, wait_ms=1000, dead="00"))
    for name in ("a1", "a2"):
        header = queue.header(name)
        assert (header.attempts, header.maybe_delivered, header.pushed_ms) == (1, maybe, queue.now)
    assert redis.zscore(queue.prefix + "delayed", "a") == queue.now + 1000
    queue.now += 1000
    queue.turn(settle(queue.turn().claims[0], Outcome.FAILED, wait_ms=1000, dead="00"))
    assert (queue.header("a1").attempts, queue.header("a1").maybe_delivered) == (2, maybe)
    queue.assert_counters()


def test_only_messages_whose_budget_is_over_die(redis: Redis) -> None:
    """Followers move on, in order, with what they have spent."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2", "a3")
    claim = queue.turn().claims[0]
    queue.turn(settle(claim, Outcome.FAILED, wait_ms=500, dead="101", reason="a", detail="no route"))
    assert [queue.header(name).state for name in ("a1", "a2", "a3")] == ["dead", "queued", "dead"]
    assert (queue.header("a1").reason, queue.detail("a1")) == ("exhausted", "no route")
    queue.assert_counters()
    queue.now += 500
    last = queue.turn()
    assert last.batches == ["a2"]
    queue.turn(settle(last.claims[0]))
    assert queue.places("a") == []
    assert queue.waiting("a") == ""
    queue.assert_counters()


def test_a_rejected_batch_is_dead_with_its_payload_and_the_reason(redis: Redis) -> None:
    """A dead letter keeps what a replay needs, never expires by itself, and holds up nobody."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2", address=b'["alice",null]')
    queue.enqueue("a", "a3")
    claim = queue.turn().claims[0]
    turn = queue.turn(settle(claim, Outcome.REJECTED, dead="11", reason="r", detail="6451000: bad words"))
    assert turn.batches == ["a3"]
    for name in ("a1", "a2"):
        header = queue.header(name)
        assert (header.state, header.reason, header.final_ms) == ("dead", "rejected", queue.now)
        assert queue.content(name) == ("a", b'["alice",null]', name.encode())
        assert queue.detail(name) == "6451000: bad words"
        assert redis.ttl(queue.prefix + "message:" + name) == -1
    assert redis.zrange(queue.prefix + "dead", 0, -1, withscores=True) == [(b"a1", queue.now), (b"a2", queue.now)]
    queue.assert_counters()


def test_an_unsent_batch_is_given_back_as_it_was(redis: Redis) -> None:
    """No attempt, no wait, and its place in the rate window is free again."""
    queue = Queue(redis, rate_limit=1)
    queue.enqueue("a", "a1")
    claim = queue.turn(drain="stopping").claims[0]
    assert queue.turn(unsent(claim), drain="stopping", free=-1).settled == (1,)
    assert queue.header("a1").attempts == 0
    assert queue.turn(drain="next").batches == ["a1"]


@pytest.mark.parametrize(("outcome", "place"), [(Outcome.THROTTLED, "ready"), (Outcome.MISCONFIGURED, "delayed")])
def test_not_now_is_no_attempt(redis: Redis, outcome: Outcome, place: str) -> None:
    """The gate waits, and behind others whoever was refused; the message's budget is untouched."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.turn(settle(queue.turn().claims[0], outcome, wait_ms=-1))
    assert (queue.header("a1").attempts, queue.places("a")) == (0, [place])


def test_a_push_of_unknown_outcome_is_listed_with_its_messages(redis: Redis) -> None:
    """The stream says which messages a person may see twice, and why."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2")
    queue.turn(settle(queue.turn().claims[0], Outcome.UNKNOWN, wait_ms=1, dead="00", detail="read timeout"))
    expected = {
        "at": str(queue.now),
        "conversation": "a",
        "message_ids": "a1,a2",
        "detail": "read timeout",
        "lost": "0",
    }
    assert queue.unknown() == [expected]


def test_a_lost_lease_is_an_unknown_outcome(redis: Redis) -> None:
    """It is counted, listed, an attempt, and perhaps a delivery."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    claim = queue.turn().claims[0]
    queue.now += LEASE_MS + 1
    assert queue.expire([claim], dead="0", wait_ms=10).settled == (1,)
    header = queue.header("a1")
    assert (header.attempts, header.losses, header.maybe_delivered) == (1, 1, True)
    assert queue.counters()["pushes_unknown"] == 1
    assert [entry["lost"] for entry in queue.unknown()] == ["1"]


def _lose(queue: Queue, times: int) -> list[str]:
    lost = []
    for _ in range(times):
        turn = queue.turn()
        lost += turn.batches
        queue.now += LEASE_MS + 1
        queue.expire(turn.claims, dead="0" * 10)
    return lost


def test_after_two_lost_leases_a_message_goes_alone(redis: Redis) -> None:
    """A message that kills its worker ends up alone; the others then go as batches again."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2", "a3")
    assert _lose(queue, 2) == ["a1 a2 a3", "a1 a2 a3"]
    queue.enqueue("a", "a4", "a5")
    batches = []
    claims = queue.turn().claims
    while claims:
        turn = queue.turn(*(settle(claim) for claim in claims))
        batches += [b" ".join(claim.message_ids).decode() for claim in claims]
        claims = turn.claims
    assert batches == ["a1", "a2", "a3", "a4 a5"]


def test_losses_count_only_in_a_row(redis: Redis) -> None:
    """A push that ended otherwise shows that the messages kill nobody."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2")
    _lose(queue, 1)
    queue.turn(settle(queue.turn().claims[0], Outcome.FAILED, dead="00"), free=-1)
    assert queue.header("a1").losses == 0
    assert _lose(queue, 2) == ["a1 a2", "a1 a2"]
    assert queue.turn().batches == ["a1"]


def test_the_counters_are_what_a_recount_gives(redis: Redis) -> None:
    """Also with repeats, stale tokens and every outcome in one turn."""
    queue = Queue(redis)
    for n in range(4):
        queue.enqueue(f"r{n}", f"m{n}a", f"m{n}b")
    queue.enqueue_again("m0a", "m3b")
    one, two, three, four = queue.turn(free=4).claims
    queue.turn(
        settle(one),
        settle(two, Outcome.REJECTED, dead="11", reason="r"),
        settle(three, Outcome.FAILED, wait_ms=9, dead="10", reason="a"),
        unsent(four),
        settle(one),
        settle(two, Outcome.FAILED, dead="11", reason="a"),
    )
    queue.repeat()
    queue.assert_counters()
    pushes = {name: value for name, value in queue.counters().items() if name.startswith("pushes_")}
    assert pushes == {"pushes_delivered": 1, "pushes_rejected": 1, "pushes_failed": 1, "pushes_unsent": 1}
    assert queue.counters()["settled_stale"] == 2
