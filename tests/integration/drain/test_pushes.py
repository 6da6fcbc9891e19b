"""A message's timeline: which pushes are listed, what each entry says, and that the list stays small."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from support.queue import LEASE_MS, Queue, settle, unsent

from pushlane.message_record import from_ms
from pushlane.outcome import Outcome
from pushlane.push_record import MAX_PUSHES

if TYPE_CHECKING:
    from redis import Redis

DAY_MS = 86_400_000
_IDS = [f"{number:032x}" for number in range(0xABCDEF01, 0xABCDEF0B)]


def fail(queue: Queue, times: int = 1) -> None:
    """Pushes that fail, each a second after the one before."""
    for _ in range(times):
        claim = queue.turn().claims[0]
        queue.turn(settle(claim, Outcome.FAILED, wait_ms=1000, dead="0" * len(claim.message_ids)), free=-1)
        queue.now += 1000


def told(queue: Queue, message_id: str) -> list[tuple[int | None, str, int, int]]:
    """Number, outcome, position and size of each listed push of a message."""
    return [(push.number, push.outcome, push.position, push.size) for push in queue.pushes(message_id)]


@pytest.mark.parametrize(
    ("outcome", "step", "number"),
    [
        (Outcome.FAILED, {"wait_ms": 9, "dead": "00"}, 1),
        (Outcome.FAILED, {"wait_ms": 9}, None),  # of an early probe
        (Outcome.UNKNOWN, {"wait_ms": 9, "dead": "00"}, 1),
        (Outcome.UNKNOWN, {"wait_ms": 9, "dead": "11", "reason": "u"}, 1),
        (Outcome.UNKNOWN, {"wait_ms": 9}, None),
        (Outcome.REJECTED, {"split": 1}, None),
        (Outcome.REJECTED, {"dead": "11", "reason": "r"}, 1),
        (Outcome.THROTTLED, {"wait_ms": 9}, None),
        (Outcome.THROTTLED, {"wait_ms": 9, "lone": True, "dead": "01", "reason": "a"}, None),
        (Outcome.MISCONFIGURED, {"wait_ms": 9, "dead": "00"}, None),  # spared: the first is the channel's fault
    ],
)
def test_each_outcome_but_a_delivery_is_listed(
    redis: Redis, outcome: Outcome, step: dict[str, Any], number: int | None
) -> None:
    """With where the message was in its batch, how long it took, and its number if it counts as an attempt."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2")
    claim = queue.turn().claims[0]
    queue.now += 5000
    queue.turn(settle(claim, outcome, took_ms=120, detail="x" * 500, **step), free=-1)
    (entry,) = queue.redis.lrange(queue.prefix + "pushes:a", 0, -1)
    assert entry.split()[2].decode() == f"{outcome:d}0{number or 0}", "whether it was an attempt"
    for position, name in enumerate(("a1", "a2"), 1):
        (push,) = queue.pushes(name)
        assert (push.number, push.outcome) == (number, outcome.name.lower())
        assert (push.position, push.size, push.duration_ms, push.lost) == (position, 2, 120, False)
        assert push.at == datetime.fromtimestamp(queue.now / 1000, tz=UTC)
        assert push.detail == "x" * 60 + "…"


def test_a_delivery_at_the_first_try_and_an_unsent_batch_are_not_listed(redis: Redis) -> None:
    """Also of a message with details: the time to join, or to expire. The list has no key."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", expires=str(DAY_MS))
    queue.turn(unsent(queue.turn().claims[0]), free=-1)
    queue.turn(settle(queue.turn().claims[0]), free=-1)
    assert queue.header("a1").state == "delivered"
    assert queue.pushes("a1") == ()
    assert not redis.exists(queue.prefix + "pushes:a")


def test_the_delivery_after_a_failure_is_listed(redis: Redis) -> None:
    """With its number; one that was in the batch for the first time has it as its first."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    fail(queue, 2)
    queue.enqueue("a", "a2")
    queue.turn(settle(queue.turn().claims[0], took_ms=80), free=-1)
    assert told(queue, "a1") == [(1, "failed", 1, 1), (2, "failed", 1, 1), (3, "delivered", 1, 2)]
    assert told(queue, "a2") == [(1, "delivered", 2, 2)]
    assert queue.header("a1").attempts == 3


def test_the_parts_of_a_split_batch_are_listed(redis: Redis) -> None:
    """A split is no attempt; the delivery of a part is listed nevertheless, the batch after it is not."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2", "a3")
    queue.turn(settle(queue.turn().claims[0], Outcome.REJECTED, split=2), free=-1)
    queue.turn(settle(queue.turn().claims[0]), free=-1)
    queue.turn(settle(queue.turn().claims[0], Outcome.REJECTED, dead="1", reason="r"), free=-1)
    assert told(queue, "a2") == [(None, "rejected", 2, 3), (1, "delivered", 2, 2)]
    assert told(queue, "a3") == [(None, "rejected", 3, 3), (1, "rejected", 1, 1)]
    queue.enqueue("a", "a4")
    queue.turn(settle(queue.turn().claims[0]), free=-1)
    assert told(queue, "a4") == []


def test_a_lost_lease_is_listed_and_a_stale_settlement_is_not(redis: Redis) -> None:
    """The worker that wakes up late adds nothing, and neither does a repeated turn."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    frozen = queue.turn(drain="frozen").claims[0]
    queue.now += LEASE_MS + 1
    queue.expire([frozen], dead="0", wait_ms=1000)
    queue.turn(settle(frozen, took_ms=9), drain="frozen", free=-1)
    queue.repeat("sweeper")
    (push,) = queue.pushes("a1")
    assert (push.number, push.outcome, push.lost, push.duration_ms) == (1, "unknown", True, None)


def test_a_replayed_message_counts_anew(redis: Redis) -> None:
    """Its earlier pushes stay in its timeline, without a number."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.turn(settle(queue.turn().claims[0], Outcome.FAILED, dead="1", reason="a"), free=-1)
    queue.now += 1000
    queue.replay("a1")
    queue.turn(settle(queue.turn().claims[0]), free=-1)
    assert told(queue, "a1") == [(None, "failed", 1, 1), (1, "delivered", 1, 1)]


def test_a_hundred_failing_pushes_leave_twenty_small_entries(redis: Redis) -> None:
    """The list of a conversation is bounded in length, in bytes and in time: the retention after its last push."""
    queue = Queue(redis, retention_ms=60_000, breaker_after=1000)
    queue.enqueue("a", *_IDS)
    fail(queue, 100)
    key = queue.prefix + "pushes:a"
    entries = redis.lrange(key, 0, -1)
    assert len(entries) == MAX_PUSHES
    assert max(map(len, entries)) < 180
    assert 55_000 < redis.pttl(key) <= 60_000
    assert [push.number for push in queue.pushes(_IDS[9])] == list(range(81, 101))
    assert {(push.position, push.size) for push in queue.pushes(_IDS[9])} == {(10, 10)}
    assert queue.pushes(_IDS[9])[-1].at == from_ms(queue.now - 1000)
