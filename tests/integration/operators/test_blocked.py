"""Conversations whose head is in trouble: who is listed, since when and why, and how an operator gives a head up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.queue import LEASE_MS, Queue, settle, unsent

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from redis import Redis

RETRY_MS = 5000
UNKNOWN_LAYOUT = "its head is in a layout that this version of the workers does not know"


def _fail(queue: Queue, outcome: Outcome = Outcome.FAILED, detail: str = "no route") -> None:
    """Pushes what is ready, in vain; it is tried again after ``RETRY_MS``."""
    claims = queue.turn().claims
    assert claims
    queue.turn(
        *(
            settle(claim, outcome, wait_ms=RETRY_MS, dead="0" * len(claim.message_ids), detail=detail)
            for claim in claims
        ),
        free=-1,
    )


def _blocked(redis: Redis, **fields: int) -> Queue:
    """A conversation whose only message failed just now."""
    queue = Queue(redis, "support", **fields)
    queue.enqueue("a", "a1")
    _fail(queue)
    return queue


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.UNKNOWN])
def test_a_conversation_whose_push_failed_is_blocked_and_no_other(redis: Redis, outcome: Outcome) -> None:
    """With the time and the reason, in words."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2")
    assert queue.blocked() == {}
    _fail(queue, outcome)
    queue.enqueue("b", "b1")
    assert queue.blocked() == {"a": (queue.now, "no route")}


def test_a_blocked_conversation_is_so_since_its_first_failure(redis: Redis) -> None:
    """For the last reason; also while it is pushed again."""
    queue = _blocked(redis)
    since = queue.now
    queue.now += RETRY_MS
    _fail(queue, Outcome.UNKNOWN, "read timeout")
    assert queue.blocked() == {"a": (since, "read timeout")}
    queue.now += RETRY_MS
    assert queue.turn().batches == ["a1"]
    assert queue.blocked() == {"a": (since, "read timeout")}


def test_a_lost_lease_blocks(redis: Redis) -> None:
    """A worker died of it, perhaps."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    claims = queue.turn().claims
    queue.now += LEASE_MS + 1
    queue.expire(claims, dead="0", wait_ms=RETRY_MS)
    assert queue.blocked() == {"a": (queue.now, "said so")}


def test_not_now_blocks_nobody(redis: Redis) -> None:
    """It is the channel that is in trouble, or nobody."""
    queue = Queue(redis)
    for name in "ab":
        queue.enqueue(name, f"{name}1")
    one, two = queue.turn().claims
    queue.turn(settle(one, Outcome.THROTTLED, wait_ms=10), unsent(two), free=-1)
    assert queue.blocked() == {}


def test_a_refusal_blocks_with_the_apis_words(redis: Redis) -> None:
    """It may be the channel's fault or its own: an operator sees whom it met."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.turn(settle(queue.turn().claims[0], Outcome.MISCONFIGURED, detail="HTTP 404"), free=-1)
    assert queue.blocked() == {"a": (queue.now, "misconfigured: HTTP 404")}


def test_a_delivery_ends_it(redis: Redis) -> None:
    """Also when more waits behind."""
    queue = _blocked(redis)
    queue.enqueue("a", "a2", address=b"other")
    queue.now += RETRY_MS
    queue.turn(settle(queue.turn().claims[0]), free=-1)
    assert (queue.blocked(), queue.waiting("a")) == ({}, "a2")


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.FAILED, Outcome.UNKNOWN])
def test_a_death_ends_it(redis: Redis, outcome: Outcome) -> None:
    """The next head has done nothing yet."""
    queue = _blocked(redis)
    queue.enqueue("a", "a2", address=b"other")
    queue.now += RETRY_MS
    queue.turn(settle(queue.turn().claims[0], outcome, dead="1", reason="a"), free=-1)
    assert (queue.blocked(), queue.waiting("a")) == ({}, "a2")


def test_an_empty_conversation_is_blocked_no_more(redis: Redis) -> None:
    """Whether its last message was cancelled or has expired."""
    queue = _blocked(redis)
    queue.enqueue("b", "b1", expires="1000")
    _fail(queue)
    assert queue.blocked().keys() == {"a", "b"}
    queue.cancel("a1")
    assert queue.blocked().keys() == {"b"}
    queue.now += RETRY_MS
    queue.turn()
    assert queue.blocked() == {}


def test_a_head_of_another_layout_blocks_until_it_is_delivered(redis: Redis) -> None:
    """And cannot be skipped: it is a newer worker's."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2")
    queue.overwrite("a1", "version", "3")
    queue.turn()
    assert queue.blocked() == {"a": (queue.now, UNKNOWN_LAYOUT)}
    assert queue.skip("a") == ["unreadable"]
    assert (queue.waiting("a"), list(queue.blocked())) == ("a1 a2", ["a"])
    queue.overwrite("a1", "version", "2")
    queue.now += 60_000
    queue.sweep()
    assert queue.blocked().keys() == {"a"}
    queue.turn(settle(queue.turn().claims[0]))
    assert queue.blocked() == {}


def test_a_skipped_head_is_dead_and_those_behind_it_go_out_at_once(redis: Redis) -> None:
    """The backoff was the head's; its dead letter says who gave it up and what it had."""
    queue = _blocked(redis)
    queue.enqueue("a", "a2", "a3")
    queue.rung()
    queue.now += 1200
    assert queue.skip("a") == ["skipped", "a1"]
    header = queue.header("a1")
    assert (header.state, header.reason, header.final_ms) == ("dead", "exhausted", queue.now)
    assert queue.detail("a1") == "skipped by an operator; it was blocked by: no route"
    assert (queue.places("a"), queue.waiting("a"), queue.blocked(), queue.rung()) == (["ready"], "a2 a3", {}, True)
    queue.assert_counters()
    assert queue.turn().batches == ["a2 a3"]


def test_the_last_of_a_conversation_can_be_skipped(redis: Redis) -> None:
    """Nothing is left of it, and it can be replayed."""
    queue = _blocked(redis)
    assert queue.skip("a") == ["skipped", "a1"]
    assert (queue.places("a"), queue.waiting("a"), queue.blocked()) == ([], "", {})
    assert queue.replay("a1") == [1, 0, 0]
    assert queue.turn().batches == ["a1"]


def test_a_head_in_flight_is_not_skipped(redis: Redis) -> None:
    """What the API may be reading is its own to decide."""
    queue = _blocked(redis)
    queue.now += RETRY_MS
    (claim,) = queue.turn().claims
    assert queue.skip("a") == ["in_flight"]
    assert queue.turn(settle(claim)).settled == (1,)
    queue.assert_counters()


def test_a_conversation_that_is_not_blocked_loses_nothing_to_a_skip(redis: Redis) -> None:
    """One that waits, one that never was, one of a channel that nobody registered, one that was skipped just now."""
    queue = _blocked(redis)
    queue.enqueue("a", "a2")
    queue.enqueue("b", "b1")
    assert queue.skip("b") == ["not_blocked"]
    assert queue.skip("nobody") == ["not_blocked"]
    queue.skip("a")
    assert queue.skip("a") == ["not_blocked"]
    assert (queue.waiting("a"), queue.waiting("b")) == ("a2", "b1")
    redis.delete(queue.prefix + "channel")
    assert queue.skip("a") == ["not_blocked"]


def test_a_skip_of_nothing_but_expired_messages_only_clears_up(redis: Redis) -> None:
    """They died of their age."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2", expires="1000")
    _fail(queue)
    queue.now += 1000
    assert queue.skip("a") == ["not_blocked"]
    assert [queue.header(name).reason for name in ("a1", "a2")] == ["expired", "expired"]
    assert (queue.places("a"), queue.blocked()) == ([], {})
    queue.assert_counters()


def test_a_skip_that_meets_a_newer_layout_behind_expired_heads_counts_what_died(redis: Redis) -> None:
    """Depth would be wrong for ever."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", expires="1000")
    queue.enqueue("a", "a2")
    _fail(queue)
    queue.overwrite("a2", "version", "3")
    queue.now += 1000
    assert queue.skip("a") == ["unreadable"]
    assert (queue.counters()["depth"], queue.counters()["dead"]) == (1, 1)


def test_who_follows_a_cancelled_head_is_not_blamed_for_it(redis: Redis) -> None:
    """It was never pushed: a skip must not kill it with another one's reason."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", address=b'["x",null]')
    queue.enqueue("a", "a2")
    _fail(queue)
    assert queue.cancel("a1") == "cancelled"
    assert queue.blocked() == {}
    assert queue.skip("a") == ["not_blocked"]
    assert queue.header("a2").state == "queued"


def test_a_leased_conversation_is_not_looked_at_again(redis: Redis) -> None:
    """It stood aside for its layout, a newer worker has it now: it must not be claimed twice."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2")
    queue.overwrite("a1", "version", "3")
    assert queue.turn().claims == ()
    queue.overwrite("a1", "version", "2")
    queue.cancel("a2")
    assert len(queue.turn(lease_ms=200_000).claims) == 1
    queue.now += 61_000
    queue.sweep()
    assert queue.places("a") == ["leases"]
    assert queue.turn().claims == ()
