"""What else happens to held messages: cancellations, expiry, skips, replays, and a closed gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.holds import DEAD_LETTER, HELD, HOLD_MS, RELEASE, assert_at_rest, drained, end_of, held_room
from support.queue import Queue, settle

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis


def test_a_cancelled_head_lets_its_room_go_on(redis: Redis) -> None:
    """At once, and a decision comes too late for it."""
    queue = held_room(redis)
    queue.rung()
    queue.now += 2000
    assert queue.cancel("h") == "cancelled"
    assert queue.rung()
    assert (queue.places("a"), queue.blocked()) == (["ready"], {})
    assert queue.decide("k", "a") == ("a", 0, 0)
    assert queue.header("h").state == "cancelled"
    assert drained(queue) == ["a1"]
    assert_at_rest(queue)


def test_a_cancelled_message_in_the_middle_is_passed_over(redis: Redis) -> None:
    """The head waits on."""
    queue = held_room(redis)
    queue.enqueue("a", "h2", hold=DEAD_LETTER)
    assert (queue.cancel("h2"), queue.places("a")) == ("cancelled", ["held"])
    queue.decide("k", "a")
    assert drained(queue) == ["h", "a1"]
    assert_at_rest(queue)


def test_a_held_head_that_expires_lets_its_room_go_on(redis: Redis) -> None:
    """Its time to be delivered ends before its hold, also one that its timeout would release."""
    queue = Queue(redis)
    queue.enqueue("a", "h", hold=RELEASE, expires="20000")
    queue.enqueue("a", "a1")
    assert redis.zscore(f"{queue.prefix}held", "a") == queue.now + 20_000
    queue.sweep_for(19_000)
    assert queue.header("h").state == "held"
    queue.sweep_for(1000)
    assert end_of(queue, "h") == ("dead", "expired")
    assert (queue.places("a"), queue.blocked()) == (["ready"], {})
    assert drained(queue) == ["a1"]
    assert_at_rest(queue)


def test_a_decision_behind_an_expired_one_is_not_lost(redis: Redis) -> None:
    """When a head's time is over and the next one's is not, that one waits on."""
    queue = Queue(redis)
    queue.enqueue("a", "h1", hold=f"d{9 * HOLD_MS}:first", expires="20000")
    queue.enqueue("a", "h2", hold=DEAD_LETTER)
    queue.sweep_for(20_000)
    assert (queue.header("h1").state, queue.header("h2").state) == ("dead", "held")
    assert queue.blocked() == {"a": (queue.now, HELD)}
    assert queue.decide("k", "a")[1] == 1
    assert drained(queue) == ["h2"]
    assert_at_rest(queue)


def test_a_released_message_still_expires(redis: Redis) -> None:
    """Its time to be delivered counts from its acceptance."""
    queue = Queue(redis)
    queue.enqueue("a", "h", hold=DEAD_LETTER, expires="20000")
    queue.decide("k", "a")
    queue.now += 20_000
    assert drained(queue) == []
    assert end_of(queue, "h") == ("dead", "expired")
    assert_at_rest(queue)


def test_a_held_head_can_be_skipped(redis: Redis) -> None:
    """Its dead letter says what it was blocked by, and a decision comes too late."""
    queue = held_room(redis)
    queue.now += 2000
    assert queue.skip("a") == ["skipped", "h"]
    assert queue.detail("h") == f"skipped by an operator; it was blocked by: {HELD}"
    assert (queue.places("a"), queue.blocked()) == (["ready"], {})
    assert queue.decide("k", "a") == ("a", 0, 0)
    assert drained(queue) == ["a1"]
    assert_at_rest(queue)


def test_a_skip_before_a_held_message_leaves_that_one_held(redis: Redis) -> None:
    """Only the head goes."""
    queue = held_room(redis)
    queue.enqueue("a", "h2", hold=f"d{HOLD_MS}:other")
    queue.skip("a")
    assert drained(queue) == ["a1"]
    assert (queue.places("a"), queue.waiting("a"), list(queue.blocked())) == (["held"], "h2", ["a"])
    assert queue.skip("a") == ["skipped", "h2"]
    assert_at_rest(queue)


@pytest.mark.parametrize("place", ["leases", "held"])
def test_a_forbidden_message_that_is_replayed_from_the_middle_is_listed_once(redis: Redis, place: str) -> None:
    """At the tail, whatever it stood behind; it needs no decision any more."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", hold="" if place == "leases" else f"d{HOLD_MS}:first")
    claims = queue.turn().claims
    queue.enqueue("a", "h", hold=DEAD_LETTER)
    queue.enqueue("a", "a2")
    queue.decide("k", "fno")
    assert (queue.waiting("a"), queue.places("a")) == ("a1 h a2", [place])
    assert queue.replay("h") == [1, 0, 0]
    assert (queue.waiting("a"), queue.places("a")) == ("a1 a2 h", [place])
    assert queue.field("h", "part") == b"0" * 8
    queue.turn(*map(settle, claims), free=-1)
    queue.decide("first", "a")
    assert drained(queue) == [*["a1"][len(claims) :], "a2", "h"]
    assert (queue.places("a"), queue.waiting("a"), queue.counters()["depth"]) == ([], "", 0)


@pytest.mark.parametrize("dropped_by", ["a claim", "a settle"])
def test_a_forbidden_message_that_left_its_list_is_listed_once_by_a_replay(redis: Redis, dropped_by: str) -> None:
    """Whoever drops it takes its mark off, so that a replay looks for it in no list."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    (claim,) = queue.turn().claims
    if dropped_by == "a claim":
        queue.enqueue("a", "a2")
    queue.enqueue("a", "h", hold=DEAD_LETTER)
    queue.enqueue("a", "a3")
    queue.decide("k", "fno")
    (following,) = queue.turn(settle(claim)).claims
    assert queue.waiting("a") == ("a2 a3" if dropped_by == "a claim" else "a3")
    assert queue.field("h", "part") == b"0" * 8
    queue.replay("h")
    assert queue.turn(settle(following)).batches == ["h"]


def test_a_forbidden_message_that_is_purged_in_the_middle_is_passed_over(redis: Redis) -> None:
    """Nothing of them is left in the way, whether they are still remembered or not."""
    queue = held_room(redis)
    queue.enqueue("a", "h2", "h3", hold=f"d{HOLD_MS}:other")
    queue.enqueue("a", "a2")
    queue.decide("other", "fno")
    assert queue.purge("h2", "h3") == 2
    queue.forget("h3")
    queue.decide("k", "a")
    assert drained(queue) == ["h", "a1", "a2"]
    assert redis.exists(f"{queue.prefix}message:h2", f"{queue.prefix}message:h3", f"{queue.prefix}details") == 0
    assert (queue.places("a"), queue.waiting("a")) == ([], "")


def test_a_replay_to_a_held_room_waits_behind_its_head(redis: Redis) -> None:
    """A dead letter of a hold that timed out is replayed without a decision."""
    queue = held_room(redis)
    queue.enqueue("a", "h2", hold=f"d{9 * HOLD_MS}:other")
    queue.sweep_for(HOLD_MS)
    assert drained(queue) == ["a1"]
    assert queue.replay("h") == [1, 0, 0]
    assert (queue.places("a"), queue.waiting("a")) == (["held"], "h2 h")
    assert queue.decide("k", "fno") == ("fno", 0, 0)
    queue.decide("other", "a")
    assert drained(queue) == ["h2", "h"]
    assert (queue.places("a"), queue.waiting("a"), queue.counters()["depth"]) == ([], "", 0)


@pytest.mark.parametrize("gate", ["paused", "broken"])
def test_a_decision_behind_a_closed_gate_waits_for_it(redis: Redis, gate: str) -> None:
    """It is released, and goes out when the channel may push; nothing rings before."""
    queue = held_room(redis)
    if gate == "paused":
        queue.pause()
    else:
        for refused in ("b", "c", "d"):
            queue.enqueue(refused, f"{refused}1")
            queue.turn(settle(queue.turn(free=1).claims[0], Outcome.MISCONFIGURED), free=-1)
    queue.rung()
    queue.now += 2000
    queue.decide("k", "a")
    assert (queue.places("a"), queue.rung(), queue.turn().claims) == (["ready"], False, ())
    if gate == "paused":
        queue.pause(paused=False)
    queue.now += 30_000
    assert "h" in " ".join(drained(queue))
    assert drained(queue) == []
    assert_at_rest(queue)


def test_a_closed_gate_stops_no_timeout(redis: Redis) -> None:
    """A probe does not take a held head either, however long nothing else is there."""
    queue = held_room(redis, RELEASE)
    queue.enqueue("b", "b1")
    queue.turn(settle(queue.turn().claims[0], Outcome.MISCONFIGURED), free=-1)
    queue.now += 30_000
    (probe,) = queue.turn().claims
    assert probe.message_ids == [b"b1"]
    queue.pause()
    queue.sweep_for(HOLD_MS)
    assert (queue.header("h").state, queue.places("a")) == ("queued", ["ready"])


def test_a_probe_does_not_take_a_held_head_that_is_reached_by_dropping(redis: Redis) -> None:
    """With the gate broken and nothing ready, what backs off is looked at: its head has expired, the next is held."""
    queue = Queue(redis, breaker_after=1)
    queue.enqueue("a", "a1", expires="500")
    (claim,) = queue.turn().claims
    queue.enqueue("a", "h", hold=DEAD_LETTER)
    queue.turn(settle(claim, Outcome.FAILED, wait_ms=100_000, dead="0"), free=-1)
    assert queue.gate()["state"] == "broken"
    queue.now += 1000
    assert queue.turn().claims == ()
    assert (queue.places("a"), queue.waiting("a"), queue.blocked()) == (["held"], "h", {"a": (queue.now, HELD)})


def _timeouts(queue: Queue) -> None:
    queue.sweep_for(HOLD_MS)


@pytest.mark.parametrize(
    ("hold", "expires", "end"),
    [
        (DEAD_LETTER, "", _timeouts),
        (RELEASE, "", _timeouts),
        (DEAD_LETTER, "20000", _timeouts),
        (DEAD_LETTER, "", lambda queue: queue.cancel("h")),
        (DEAD_LETTER, "", lambda queue: queue.skip("a")),
    ],
    ids=["dead_letter", "release", "expiry", "cancel", "skip"],
)
def test_what_ended_without_a_decision_waits_for_none(
    redis: Redis, hold: str, expires: str, end: Callable[[Queue], object]
) -> None:
    """A key that a service uses again and again would collect ids for ever: each new hold renews its expiry."""
    queue = Queue(redis)
    queue.enqueue("a", "h", hold=hold, expires=expires)
    queue.enqueue("b", "other", hold=f"d{9 * HOLD_MS}:k")
    end(queue)
    assert queue.header("h").state != "held"
    assert redis.smembers(f"{queue.prefix}hold:k") == {b"other"}
