"""Decisions on a key: what becomes of the messages that are held for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.holds import DEAD_LETTER, HELD, HOLD_MS, assert_at_rest, drained, end_of, held_room
from support.queue import Queue, settle

from pushlane.message_record import read_content

if TYPE_CHECKING:
    from redis import Redis


def test_an_allowed_message_goes_out_as_it_is(redis: Redis) -> None:
    """Then those behind it; it rings, and the room is blocked no more."""
    queue = held_room(redis)
    queue.rung()
    queue.now += 2000
    assert queue.decide("k", "a") == ("a", 1, 0)
    assert queue.rung()
    assert (queue.places("a"), queue.blocked()) == (["ready"], {})
    assert (queue.content("h"), queue.detail("h")) == (("a", b"", b"h"), "")
    assert drained(queue) == ["h", "a1"]
    assert_at_rest(queue)


def test_a_rewritten_message_has_the_new_text(redis: Redis) -> None:
    """In the same place, for the same receiver; a repeat of the first call is still the same message."""
    queue = Queue(redis)
    queue.enqueue("a", "h", address=b'["alice",null]', hold=DEAD_LETTER)
    assert queue.decide("k", 'w"***"')[1:] == (1, 0)
    assert (queue.content("h"), queue.detail("h")) == (("a", b'["alice",null]', b'"***"'), "")
    assert queue.enqueue_again("h")[0].duplicate
    (claim,) = queue.turn().claims
    assert read_content(claim.records[0])[2] == b'"***"'


def test_a_forbidden_message_is_a_dead_letter_and_its_room_goes_on(redis: Redis) -> None:
    """With the reason, and with its text for whoever wants to look."""
    queue = held_room(redis)
    queue.rung()
    queue.now += 2000
    assert queue.decide("k", "fnot nice") == ("fnot nice", 1, 0)
    assert queue.rung()
    assert end_of(queue, "h") == ("dead", "forbidden")
    assert queue.header("h").final_ms == queue.now
    assert (queue.content("h"), queue.detail("h")) == (("a", b"", b"h"), "not nice")
    assert redis.zrange(f"{queue.prefix}dead", 0, -1) == [b"h"]
    assert (queue.waiting("a"), queue.places("a"), queue.blocked()) == ("a1", ["ready"], {})
    assert drained(queue) == ["a1"]
    assert_at_rest(queue)


def test_a_release_counts_as_the_time_of_joining(redis: Redis) -> None:
    """So its age counts from there; it has spent no attempt, and it is due at no time any more."""
    queue = held_room(redis)
    before = queue.header("h")
    assert (before.joined_ms, before.due_ms) == (queue.now, queue.now + HOLD_MS)
    queue.now += 50_000
    queue.decide("k", "a")
    after = queue.header("h")
    assert (after.accepted_ms, after.joined_ms, after.due_ms) == (before.accepted_ms, queue.now, 0)
    assert (after.attempts, after.losses, after.sequence) == (0, 0, before.sequence)
    assert [one.age_s for one in queue.turn().claims[0].history()] == [0]


@pytest.mark.parametrize(
    ("decision", "state"), [("a", "queued"), ('w"***"', "queued"), ("fnot nice", "dead")], ids=["a", "w", "f"]
)
def test_a_decision_may_come_before_its_message(redis: Redis, decision: str, state: str) -> None:
    """It is never held; a forbidden one never stands in the way, nor in any list."""
    queue = Queue(redis)
    assert queue.decide("k", decision) == (decision, 0, 0)
    queue.enqueue("a", "a1", address=b"other")
    queue.now += 5
    (answer,) = queue.enqueue("a", "h", hold=DEAD_LETTER)
    assert answer.state == state
    assert queue.waiting("a") == ("a1" if state == "dead" else "a1 h")
    body, why = (b"h", decision[1:]) if state == "dead" else (decision[1:].encode() or b"h", "")
    assert (queue.content("h")[2], queue.detail("h")) == (body, why)
    assert redis.exists(f"{queue.prefix}hold:k") == 0
    assert (queue.header("h").joined_ms, queue.counters()["depth"]) == (queue.now, 1 + (state == "queued"))
    assert drained(queue) == ["a1", "h"][: 1 + (state == "queued")]
    assert_at_rest(queue)


def test_the_first_decision_stands(redis: Redis) -> None:
    """A second one changes nothing, says what stands, and so do later messages of the key."""
    queue = held_room(redis)
    queue.decide("k", "a")
    before = queue.record("h")
    assert queue.decide("k", "fnot nice") == ("a", 0, 0)
    assert queue.record("h") == before
    assert queue.enqueue("a", "late", hold=DEAD_LETTER)[0].state == "queued"
    assert end_of(queue, "h") == ("queued", None)


@pytest.mark.parametrize("decision", ["a", "fnot nice"])
def test_one_decision_is_for_all_messages_of_its_key(redis: Redis, decision: str) -> None:
    """However many wait, at most 200 a call, in many rooms or behind each other; those of other keys wait on."""
    queue = Queue(redis)
    for room in "abc":
        queue.enqueue(room, *(f"{room}{n:03}" for n in range(150)), hold=DEAD_LETTER)
    queue.enqueue("d", "other", hold=f"d{HOLD_MS}:other")
    steps = [queue.decide("k", decision) for _ in range(3)]
    assert steps == [(decision, 200, 250), (decision, 200, 50), (decision, 50, 0)]
    expected = [f"{room}{n:03}" for n in range(150) for room in "abc"] if decision == "a" else []
    assert sorted(drained(queue)) == sorted(expected)
    assert (queue.places("d"), queue.counters()["depth"]) == (["held"], 1)
    assert [queue.waiting(room) for room in "abc"] == ["", "", ""]
    assert queue.blocked().keys() == {"d"}
    queue.assert_counters()


@pytest.mark.parametrize("decision", ["a", "fnot nice"])
def test_a_decision_in_the_middle_of_a_room_moves_nobody(redis: Redis, decision: str) -> None:
    """Behind a leased batch, and behind one that is held for another key."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    (claim,) = queue.turn().claims
    queue.enqueue("a", "h1", hold=f"d{HOLD_MS}:first")
    queue.enqueue("a", "h2", hold=DEAD_LETTER)
    queue.enqueue("a", "a2")
    queue.decide("k", decision)
    assert (queue.places("a"), queue.turn().claims) == (["leases"], ())
    assert queue.turn(settle(claim)).claims == ()
    assert (queue.places("a"), queue.waiting("a")) == (["held"], "h1 h2 a2")
    queue.decide("first", "a")
    assert drained(queue) == (["h1", "h2", "a2"] if decision == "a" else ["h1", "a2"])
    assert_at_rest(queue)


def test_held_ones_behind_each_other_wait_each_for_its_own(redis: Redis) -> None:
    """The room is blocked since the one that is first now."""
    queue = held_room(redis)
    queue.enqueue("a", "h2", hold=f"d{HOLD_MS}:other")
    queue.now += 10
    queue.decide("other", "a")
    assert queue.places("a") == ["held"]
    queue.enqueue("a", "h3", hold=f"d{HOLD_MS + 7}:third")
    queue.decide("k", "fno")
    assert drained(queue) == ["a1", "h2"]
    assert redis.zscore(f"{queue.prefix}held", "a") == queue.now + HOLD_MS + 7
    queue.now += 10
    queue.enqueue("a", "h4", hold=f"d{HOLD_MS}:fourth")
    queue.decide("third", "fno")
    assert queue.blocked() == {"a": (queue.now, HELD)}
    assert redis.zscore(f"{queue.prefix}held", "a") == queue.now + HOLD_MS
    queue.decide("fourth", "a")
    assert drained(queue) == ["h4"]
    assert_at_rest(queue)


def test_a_decision_does_not_reach_a_message_that_is_held_for_another_key(redis: Redis) -> None:
    """An older version left ids in the sets; they may mean new messages once their idempotency window is over."""
    queue = Queue(redis)
    queue.enqueue("a", "h", hold=f"d{HOLD_MS}:old")
    queue.cancel("h")
    redis.sadd(f"{queue.prefix}hold:old", "h")
    redis.expire(f"{queue.prefix}hold:old", 60)
    queue.forget("h")
    queue.messages.clear()
    queue._options.clear()
    queue.enqueue("a", "h", hold=DEAD_LETTER)
    assert queue.decide("old", "fno") == ("fno", 0, 0)
    assert (queue.header("h").state, queue.places("a")) == ("held", ["held"])


def test_a_decision_of_a_channel_that_nobody_registered_is_refused(redis: Redis) -> None:
    """And not kept."""
    queue = held_room(redis)
    redis.delete(f"{queue.prefix}channel")
    with pytest.raises(ValueError, match="unpack"):
        queue.decide("k", "a")
    assert redis.exists(f"{queue.prefix}decision:k") == 0
