"""Messages for later: they join their conversation at their time, in the order of their times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.queue import LEASE_MS, Queue, settle

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from redis import Redis

RETRY_MS = 5000


def _at(queue: Queue, conversation: str, name: str, wait_ms: int, expires: str = "") -> None:
    queue.enqueue(conversation, name, due=str(queue.now + wait_ms), expires=expires)


def test_a_scheduled_message_is_claimed_at_its_time_and_not_a_millisecond_earlier(redis: Redis) -> None:
    """A listening drain needs no sweep for it, and knows how long to wait."""
    queue = Queue(redis)
    _at(queue, "a", "later", 700)
    assert (queue.places("a"), queue.waiting("a")) == ([], "")
    first = queue.turn()
    assert (first.claims, first.wait_ms, first.why, queue.listeners()) == ((), 700, "empty", ["d"])
    queue.now += 699
    assert (queue.turn().claims, queue.turn().wait_ms) == ((), 1)
    queue.now += 1
    assert queue.turn().batches == ["later"]


def test_scheduled_messages_join_in_the_order_of_their_times(redis: Redis) -> None:
    """Whatever the order of their acceptance."""
    queue = Queue(redis)
    for name, wait in (("third", 300), ("first", 100), ("second", 200)):
        _at(queue, "a", name, wait)
    assert queue.scheduled() == ["first", "second", "third"]
    queue.now += 1000
    assert queue.turn().batches == ["first second third"]


def test_scheduled_messages_of_the_same_time_join_in_the_order_of_acceptance(redis: Redis) -> None:
    """Ids are random: they say nothing about an order."""
    queue = Queue(redis)
    names = [f"m{n}" for n in (9, 3, 7, 1, 8, 2)]
    for name in names:
        _at(queue, "a", name, 500)
    queue.now += 500
    assert queue.turn().batches == [" ".join(names)]


@pytest.mark.parametrize("due_ms", [0, -1, -5000])
def test_a_time_that_is_past_means_now(redis: Redis, due_ms: int) -> None:
    """It is queued like any other message, and its record says no due time."""
    queue = Queue(redis)
    (accepted,) = queue.enqueue("a", "a1", due=str(queue.now + due_ms))
    header = queue.header("a1")
    assert (accepted.state, header.state, header.due_ms, header.joined_ms) == ("queued", "queued", 0, queue.now)
    assert queue.turn().batches == ["a1"]


def test_a_delay_counts_on_the_servers_clock(redis: Redis) -> None:
    """`+` and ms: the producer's own clock has no say."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", due="+250")
    assert queue.header("a1").due_ms == queue.now + 250


def test_the_record_says_when_a_message_was_accepted_is_due_and_joined(redis: Redis) -> None:
    """Its age for retries counts from when it joined."""
    queue = Queue(redis)
    (accepted,) = queue.enqueue("a", "a1", due=str(queue.now + RETRY_MS))
    before = queue.header("a1")
    assert (accepted.state, before.state) == ("scheduled", "scheduled")
    assert (before.accepted_ms, before.due_ms, before.joined_ms) == (queue.now, queue.now + RETRY_MS, 0)
    queue.now += RETRY_MS + 300
    (claim,) = queue.turn().claims
    after = queue.header("a1")
    assert (after.state, after.accepted_ms, after.due_ms) == ("queued", before.accepted_ms, before.due_ms)
    assert (after.joined_ms, claim.history()[0].age_s) == (queue.now, 0)


def test_a_scheduled_message_joins_behind_what_waits(redis: Redis) -> None:
    """It takes the tail at its time, also of messages that were accepted after it."""
    queue = Queue(redis)
    _at(queue, "a", "later", 500)
    queue.enqueue("a", "a1", "a2")
    queue.now += 500
    queue.sweep()
    queue.enqueue("a", "a3")
    assert queue.waiting("a") == "a1 a2 later a3"
    assert queue.places("a") == ["ready"]


def test_a_scheduled_message_joins_a_leased_conversation_behind_its_batch(redis: Redis) -> None:
    """What is in flight stays the head, and nothing of the conversation is claimed beside it."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    (claim,) = queue.turn().claims
    _at(queue, "a", "later", 500)
    queue.now += 500
    assert (queue.turn().claims, queue.waiting("a"), queue.places("a")) == ((), "a1 later", ["leases"])
    assert queue.turn(settle(claim)).batches == ["later"]


def test_a_scheduled_message_does_not_hurry_a_conversation_that_backs_off(redis: Redis) -> None:
    """It waits behind the failed one, or order would be lost."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.turn(settle(queue.turn().claims[0], Outcome.FAILED, wait_ms=RETRY_MS, dead="0"))
    _at(queue, "a", "later", 500)
    queue.now += 500
    assert (queue.turn().claims, queue.places("a")) == ((), ["delayed"])
    queue.now += RETRY_MS - 500
    assert queue.turn().batches == ["a1 later"]


def test_a_scheduled_message_can_be_cancelled(redis: Redis) -> None:
    """It leaves the schedule and the depth, never joins, and the others keep their times."""
    queue = Queue(redis)
    _at(queue, "a", "out", 500)
    _at(queue, "a", "stays", 500)
    assert queue.cancel("out") == "cancelled"
    assert (queue.scheduled(), queue.counters()["depth"], queue.header("out").state) == (["stays"], 1, "cancelled")
    assert queue.cancel("out") == "already_final"
    queue.now += 500
    assert queue.turn().batches == ["stays"]
    queue.assert_counters()


def test_a_message_that_expires_before_its_time_dies_then_and_never_joins(redis: Redis) -> None:
    """Nobody waits for a time that cannot come, and no conversation is placed for it."""
    queue = Queue(redis)
    _at(queue, "a", "a1", 5000, expires="2000")
    queue.now += 1999
    queue.sweep()
    assert queue.header("a1").state == "scheduled"
    queue.now += 1000
    queue.sweep()
    header = queue.header("a1")
    assert (header.state, header.reason, header.final_ms) == ("dead", "expired", queue.now)
    assert (queue.scheduled(), queue.waiting("a"), queue.places("a"), queue.counters()["depth"]) == ([], "", [], 0)
    assert queue.turn().claims == ()
    queue.assert_counters()


def test_a_script_lets_at_most_five_hundred_join_and_the_rest_soon_after(redis: Redis) -> None:
    """A campaign at nine o'clock makes no long script: a sweep says that there is more."""
    queue = Queue(redis)
    due = str(queue.now + 500)
    for block in range(12):
        queue.enqueue(f"r{block % 5}", *(f"m{block}-{n}" for n in range(100)), due=due)
    queue.now += 1000
    left = []
    for _ in range(3):
        swept = queue.sweep()
        left.append((len(queue.scheduled()), swept.more))
    assert left == [(700, True), (200, True), (0, False)]
    assert queue.waiting("r0").split()[:2] == ["m0-0", "m0-1"]
    assert queue.counters()["depth"] == 1200


def test_a_turn_lets_at_most_five_hundred_join_and_comes_back_at_once(redis: Redis) -> None:
    """Without a sweep, too."""
    queue = Queue(redis)
    due = str(queue.now + 500)
    for block in range(7):
        queue.enqueue("a", *(f"m{block}-{n}" for n in range(100)), due=due)
    queue.now += 500
    (claim,) = queue.turn().claims
    assert len(queue.scheduled()) == 200
    queue.turn(settle(claim))
    assert queue.scheduled() == []


def test_an_enqueue_for_later_rings_nobody(redis: Redis) -> None:
    """There is nothing to claim yet."""
    queue = Queue(redis)
    _at(queue, "a", "a1", 500)
    assert not queue.rung()


def test_a_sweep_rings_for_what_joins_within_a_second(redis: Redis) -> None:
    """So that a drain listens when the time comes; not for what comes later."""
    queue = Queue(redis)
    _at(queue, "a", "a1", 3000)
    queue.sweep()
    queue.now += 1999
    queue.sweep()
    assert not queue.rung()
    queue.now += 1000
    queue.sweep()
    assert queue.rung()
    assert queue.turn().wait_ms == 1
    queue.now += 1
    assert queue.turn().batches == ["a1"]


def test_a_scheduled_message_counts_for_the_depth(redis: Redis) -> None:
    """It waits: a channel's limit holds for it."""
    queue = Queue(redis)
    _at(queue, "a", "a1", 500)
    queue.enqueue("a", "a2")
    assert queue.counters()["depth"] == 2
    queue.now += 500
    for claim in queue.turn().claims:
        queue.turn(settle(claim))
    assert queue.counters()["depth"] == 0
    queue.assert_counters()


def test_a_repeated_enqueue_of_a_scheduled_message_says_so(redis: Redis) -> None:
    """It is not put off, not doubled, and once it joined the answer says that."""
    queue = Queue(redis)
    (first,) = queue.enqueue("a", "a1", due="+500")
    queue.now += 300
    (again,) = queue.enqueue_again("a1")
    assert (again.sequence, again.state, again.duplicate) == (first.sequence, "scheduled", True)
    queue.now += 200
    assert queue.turn().batches == ["a1"]
    assert queue.enqueue_again("a1")[0].state == "queued"
    queue.assert_counters()


def test_a_scheduled_record_of_another_layout_waits_a_minute(redis: Redis) -> None:
    """It is a newer worker's: neither pushed nor dropped, and it holds up nobody."""
    queue = Queue(redis)
    _at(queue, "a", "newer", 500)
    _at(queue, "a", "a1", 600)
    queue.overwrite("newer", "version", "3")
    queue.now += LEASE_MS
    assert queue.turn().batches == ["a1"]
    assert queue.scheduled() == ["newer"]
    queue.overwrite("newer", "version", "2")
    queue.now += 60_000
    queue.sweep()
    assert queue.waiting("a") == "a1 newer"


def test_those_that_expired_before_their_time_die_in_many_calls(redis: Redis) -> None:
    """Each of them is written anew: a script lets at most 200 die, and says that there is more."""
    queue = Queue(redis)
    for block in range(5):
        queue.enqueue("a", *(f"m{block}-{n}" for n in range(100)), due=str(queue.now + 5000), expires="1000")
    queue.now += 1000
    left = []
    for _ in range(3):
        swept = queue.sweep()
        left.append((len(queue.scheduled()), swept.more))
    assert left == [(300, True), (100, True), (0, False)]
    queue.assert_counters()
