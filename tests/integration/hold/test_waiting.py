"""Held messages keep their place until somebody decides on their key, or until their hold times out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.holds import DEAD_LETTER, HELD, HOLD_MS, assert_at_rest, drained, held_room
from support.queue import Queue, settle

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from redis import Redis


def test_a_held_message_keeps_its_place_and_holds_up_its_room_alone(redis: Redis) -> None:
    """Those behind it wait; other rooms go out."""
    queue = held_room(redis)
    queue.enqueue("b", "b1")
    assert queue.places("a") == ["held"]
    assert drained(queue) == ["b1"]
    queue.now += HOLD_MS - 1
    queue.sweep_for(0)
    assert drained(queue) == []
    assert (queue.places("a"), queue.waiting("a")) == (["held"], "h a1")


def test_what_stands_before_a_held_message_goes_out(redis: Redis) -> None:
    """The batch ends before it, and its room is held from then on."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2")
    queue.enqueue("a", "h", hold=DEAD_LETTER)
    queue.enqueue("a", "a3")
    assert (queue.places("a"), queue.blocked()) == (["ready"], {})
    (claim,) = queue.turn().claims
    assert claim.message_ids == [b"a1", b"a2"]
    assert queue.turn(settle(claim)).claims == ()
    assert (queue.places("a"), queue.waiting("a")) == (["held"], "h a3")
    assert queue.blocked() == {"a": (queue.now, HELD)}
    queue.decide("k", "a")
    assert drained(queue) == ["h", "a3"]
    assert_at_rest(queue)


def test_a_failed_batch_before_a_held_message_is_tried_again(redis: Redis) -> None:
    """Its backoff is its own; the held one is next after it."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.enqueue("a", "h", hold=DEAD_LETTER)
    queue.turn(settle(queue.turn().claims[0], Outcome.FAILED, wait_ms=9000, dead="0", detail="no route"))
    assert (queue.places("a"), queue.blocked()) == (["delayed"], {"a": (queue.now, "no route")})
    queue.now += 9000
    queue.turn(settle(queue.turn().claims[0], Outcome.FAILED, dead="1", reason="a"))
    assert (queue.places("a"), queue.blocked()) == (["held"], {"a": (queue.now, HELD)})


def test_who_is_held_behind_a_cancelled_or_expired_failure_is_blocked_since_now(redis: Redis) -> None:
    """Whatever was in trouble before it is gone."""
    queue = Queue(redis)
    for name in "ab":
        queue.enqueue(name, f"{name}1", expires="8000")
        queue.turn(settle(queue.turn().claims[0], Outcome.FAILED, wait_ms=9000, dead="0"), free=-1)
        queue.enqueue(name, f"h{name}", hold=DEAD_LETTER)
    assert queue.blocked().keys() == {"a", "b"}
    queue.now += 1000
    queue.cancel("a1")
    assert queue.blocked()["a"] == (queue.now, HELD)
    queue.now += 9000
    assert queue.turn().claims == ()
    assert queue.blocked()["b"] == (queue.now, HELD)
    assert (queue.places("a"), queue.places("b")) == (["held"], ["held"])


def test_depth_counts_held_messages_and_a_repeat_says_that_it_is_held(redis: Redis) -> None:
    """Its state at any time is the one that a repeated call gets."""
    queue = Queue(redis)
    (first,) = queue.enqueue("a", "h", hold=DEAD_LETTER)
    (again,) = queue.enqueue_again("h")
    assert (first.state, first.duplicate, again.state, again.duplicate) == ("held", False, "held", True)
    assert (first.sequence, queue.counters()["depth"], queue.waiting("a")) == (again.sequence, 1, "h")
    queue.decide("k", "a")
    assert queue.enqueue_again("h")[0].state == "queued"
    assert drained(queue) == ["h"]
    assert queue.enqueue_again("h")[0].state == "delivered"
    assert_at_rest(queue)
