"""Held messages: they keep their place until somebody decides on their key, or until their hold times out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.queue import Queue, settle
from support.stack import FakeApi, Stack, channel_settings
from support.waiting import wait_until

from pushlane import Hold, Producer, RoomMessage
from pushlane.message_record import read_content
from pushlane_worker.inspection import Inspector
from pushlane_worker.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from redis import Redis

    from pushlane.hold import Verdict

HOLD_MS = 60_000
UNBROKEN_MS = 5000
DEAD_LETTER = f"d{HOLD_MS}:k"
RELEASE = f"r{HOLD_MS}:k"
HELD = "held: its head waits for a decision"


def _held(redis: Redis, hold: str = DEAD_LETTER) -> Queue:
    """Room `a`: `h`, which waits for a decision on `k`, and `a1` behind it."""
    queue = Queue(redis)
    queue.enqueue("a", "h", hold=hold)
    queue.enqueue("a", "a1", address=b"other")
    return queue


def _drained(queue: Queue) -> list[str]:
    """Drains the queue; the ids that it pushed."""
    turn, names = queue.turn(), list[str]()
    while turn.claims or turn.wait_ms == 0:
        names += [name for batch in turn.batches for name in batch.split()]
        turn = queue.turn(*map(settle, turn.claims))
    return names


def _ends(queue: Queue, name: str) -> tuple[str, str | None]:
    header = queue.header(name)
    return header.state, header.reason


def _rest(queue: Queue) -> None:
    """Everything is where it belongs, with nothing left in the room `a`."""
    assert (queue.places("a"), queue.waiting("a"), queue.blocked()) == ([], "", {})
    queue.assert_counters()


# --- waiting -------------------------------------------------------------------------------------------------------


def test_a_held_message_keeps_its_place_and_holds_up_its_room_alone(redis: Redis) -> None:
    """Those behind it wait; other rooms go out."""
    queue = _held(redis)
    queue.enqueue("b", "b1")
    assert queue.places("a") == ["held"]
    assert _drained(queue) == ["b1"]
    queue.now += HOLD_MS - 1
    queue.sweep_for(0)
    assert _drained(queue) == []
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
    assert _drained(queue) == ["h", "a3"]
    _rest(queue)


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
    assert _drained(queue) == ["h"]
    assert queue.enqueue_again("h")[0].state == "delivered"
    _rest(queue)


# --- deciding ------------------------------------------------------------------------------------------------------


def test_an_allowed_message_goes_out_as_it_is(redis: Redis) -> None:
    """Then those behind it; it rings, and the room is blocked no more."""
    queue = _held(redis)
    queue.rung()
    queue.now += 2000
    assert queue.decide("k", "a") == ("a", 1, 0)
    assert queue.rung()
    assert (queue.places("a"), queue.blocked()) == (["ready"], {})
    assert read_content(queue.record("h")) == ("a", b"", b"h", "")
    assert _drained(queue) == ["h", "a1"]
    _rest(queue)


def test_a_rewritten_message_has_the_new_text(redis: Redis) -> None:
    """In the same place, for the same receiver; a repeat of the first call is still the same message."""
    queue = Queue(redis)
    queue.enqueue("a", "h", address=b'["alice",null]', hold=DEAD_LETTER)
    assert queue.decide("k", 'w"***"')[1:] == (1, 0)
    assert read_content(queue.record("h")) == ("a", b'["alice",null]', b'"***"', "")
    assert queue.enqueue_again("h")[0].duplicate
    (claim,) = queue.turn().claims
    assert read_content(claim.records[0])[2] == b'"***"'


def test_a_forbidden_message_is_a_dead_letter_and_its_room_goes_on(redis: Redis) -> None:
    """With the reason, and with its text for whoever wants to look."""
    queue = _held(redis)
    queue.rung()
    queue.now += 2000
    assert queue.decide("k", "fnot nice") == ("fnot nice", 1, 0)
    assert queue.rung()
    assert _ends(queue, "h") == ("dead", "forbidden")
    assert queue.header("h").final_ms == queue.now
    assert read_content(queue.record("h")) == ("a", b"", b"h", "not nice")
    assert redis.zrange(f"{queue.prefix}dead", 0, -1) == [b"h"]
    assert (queue.waiting("a"), queue.places("a"), queue.blocked()) == ("a1", ["ready"], {})
    assert _drained(queue) == ["a1"]
    _rest(queue)


def test_a_release_counts_as_the_time_of_joining(redis: Redis) -> None:
    """So its age counts from there; it has spent no attempt, and it is due at no time any more."""
    queue = _held(redis)
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
    content = read_content(queue.record("h"))
    assert content[2:] == ((b"h", decision[1:]) if state == "dead" else (decision[1:].encode() or b"h", ""))
    assert redis.exists(f"{queue.prefix}hold:k") == 0
    assert (queue.header("h").joined_ms, queue.counters()["depth"]) == (queue.now, 1 + (state == "queued"))
    assert _drained(queue) == ["a1", "h"][: 1 + (state == "queued")]
    _rest(queue)


def test_the_first_decision_stands(redis: Redis) -> None:
    """A second one changes nothing, says what stands, and so do later messages of the key."""
    queue = _held(redis)
    queue.decide("k", "a")
    before = queue.record("h")
    assert queue.decide("k", "fnot nice") == ("a", 0, 0)
    assert queue.record("h") == before
    assert queue.enqueue("a", "late", hold=DEAD_LETTER)[0].state == "queued"
    assert _ends(queue, "h") == ("queued", None)


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
    assert sorted(_drained(queue)) == sorted(expected)
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
    assert _drained(queue) == (["h1", "h2", "a2"] if decision == "a" else ["h1", "a2"])
    _rest(queue)


def test_held_ones_behind_each_other_wait_each_for_its_own(redis: Redis) -> None:
    """The room is blocked since the one that is first now."""
    queue = _held(redis)
    queue.enqueue("a", "h2", hold=f"d{HOLD_MS}:other")
    queue.now += 10
    queue.decide("other", "a")
    assert queue.places("a") == ["held"]
    queue.enqueue("a", "h3", hold=f"d{HOLD_MS + 7}:third")
    queue.decide("k", "fno")
    assert _drained(queue) == ["a1", "h2"]
    assert redis.zscore(f"{queue.prefix}held", "a") == queue.now + HOLD_MS + 7
    queue.now += 10
    queue.enqueue("a", "h4", hold=f"d{HOLD_MS}:fourth")
    queue.decide("third", "fno")
    assert queue.blocked() == {"a": (queue.now, HELD)}
    assert redis.zscore(f"{queue.prefix}held", "a") == queue.now + HOLD_MS
    queue.decide("fourth", "a")
    assert _drained(queue) == ["h4"]
    _rest(queue)


def test_a_decision_does_not_reach_a_message_that_is_held_for_another_key(redis: Redis) -> None:
    """An older version left ids in the sets; they may mean new messages once their idempotency window is over."""
    queue = Queue(redis)
    queue.enqueue("a", "h", hold=f"d{HOLD_MS}:old")
    queue.cancel("h")
    redis.sadd(f"{queue.prefix}hold:old", "h")
    redis.expire(f"{queue.prefix}hold:old", 60)
    redis.delete(f"{queue.prefix}message:h")  # the window is over
    queue.messages.clear()
    queue._options.clear()
    queue.enqueue("a", "h", hold=DEAD_LETTER)
    assert queue.decide("old", "fno") == ("fno", 0, 0)
    assert (queue.header("h").state, queue.places("a")) == ("held", ["held"])


def test_a_decision_of_a_channel_that_nobody_registered_is_refused(redis: Redis) -> None:
    """And not kept."""
    queue = _held(redis)
    redis.delete(f"{queue.prefix}channel")
    with pytest.raises(ValueError, match="unpack"):
        queue.decide("k", "a")
    assert redis.exists(f"{queue.prefix}decision:k") == 0


# --- timing out ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hold", [DEAD_LETTER, RELEASE], ids=["dead_letter", "release"])
def test_a_hold_times_out_as_its_sender_chose(redis: Redis, hold: str) -> None:
    """As an expired dead letter, or as if it had been allowed; a later decision changes nothing. It rings."""
    queue = _held(redis, hold)
    queue.sweep_for(HOLD_MS - 1000)
    assert queue.header("h").state == "held"
    queue.rung()
    queue.now += 1000
    queue.sweep()
    assert queue.rung()
    released = hold == RELEASE
    assert _ends(queue, "h") == (("queued", None) if released else ("dead", "expired"))
    if released:
        assert queue.header("h").joined_ms == queue.now
    else:
        assert (queue.header("h").final_ms, queue.detail("h")) == (
            queue.now,
            "its hold timed out without a decision",
        )
    assert (queue.places("a"), queue.blocked()) == (["ready"], {})
    assert queue.decide("k", "a" if not released else "fno")[1:] == (0, 0)
    assert _drained(queue) == (["h", "a1"] if released else ["a1"])
    _rest(queue)


@pytest.mark.parametrize("hold", [DEAD_LETTER, RELEASE], ids=["dead_letter", "release"])
def test_a_hold_times_out_only_after_five_seconds_of_sweeps(redis: Redis, hold: str) -> None:
    """After an outage of Redis or of all workers a decision has the first word."""
    queue = _held(redis, hold)
    queue.sweep()
    queue.now += HOLD_MS + 10_000
    queue.sweep_for(UNBROKEN_MS - 1000)
    assert (queue.header("h").state, queue.places("a")) == ("held", ["held"])
    queue.now += 3000  # a break
    queue.sweep_for(UNBROKEN_MS - 1000)
    assert queue.header("h").state == "held"
    queue.sweep_for(1000)
    assert queue.header("h").state == ("queued" if hold == RELEASE else "dead")


def test_a_decision_after_the_time_but_before_the_sweep_counts(redis: Redis) -> None:
    """It is not over before somebody said so."""
    queue = _held(redis)
    queue.now += HOLD_MS + 1
    assert queue.decide("k", "a")[1] == 1
    assert _drained(queue) == ["h", "a1"]


def test_many_holds_time_out_in_bounded_steps(redis: Redis) -> None:
    """200 rooms a sweep, which asks to be called again at once; also those behind each other in one room."""
    queue = Queue(redis)
    for n in range(300):
        queue.enqueue(f"r{n}", f"m{n}", hold=DEAD_LETTER)
    queue.enqueue("a", "h1", "h2", "h3", hold=DEAD_LETTER)
    queue.sweep_for(HOLD_MS - 1000)
    queue.now += 1000
    swept = queue.sweep()
    assert (swept.more, queue.counters()["dead"]) == (True, 200)
    while swept.more:
        swept = queue.sweep()
    assert (queue.counters()["dead"], queue.counters()["depth"]) == (303, 0)
    assert redis.exists(f"{queue.prefix}held") == 0
    _rest(queue)


def test_a_hold_in_the_middle_times_out_when_it_is_the_head(redis: Redis) -> None:
    """What is before it comes first, however late."""
    queue = Queue(redis)
    queue.enqueue("a", "h1", hold=f"r{3 * HOLD_MS}:first")
    queue.enqueue("a", "h2", hold=DEAD_LETTER)
    queue.sweep_for(2 * HOLD_MS)
    assert (queue.header("h1").state, queue.header("h2").state) == ("held", "held")
    queue.decide("first", "a")
    assert _drained(queue) == ["h1"]
    queue.sweep_for(2000)
    assert _ends(queue, "h2") == ("dead", "expired")
    _rest(queue)


@pytest.mark.parametrize("hold", [DEAD_LETTER, RELEASE], ids=["dead_letter", "release"])
@pytest.mark.parametrize(
    ("decision", "ends"),
    [("a", ("queued", None)), ('w"***"', ("queued", None)), ("fnot nice", ("dead", "forbidden"))],
    ids=["a", "w", "f"],
)
def test_a_timeout_does_what_was_decided_before_it(
    redis: Redis, hold: str, decision: str, ends: tuple[str, str | None]
) -> None:
    """Who decides on more than a call takes may die after the first call; its decision stands for the others, too."""
    queue = Queue(redis)
    names = [f"m{n:03}" for n in range(201)]
    for name in names:
        queue.enqueue(name, name, hold=hold)
    assert queue.decide("k", decision) == (decision, 200, 1)
    (late,) = [name for name in names if queue.header(name).state == "held"]
    queue.sweep_for(HOLD_MS)
    assert _ends(queue, late) == ends
    content = read_content(queue.record(late))
    assert content[2:] == (
        (late.encode(), "not nice") if ends[0] == "dead" else (decision[1:].encode() or late.encode(), "")
    )
    assert (queue.waiting(late), queue.places(late)) == (("", []) if ends[0] == "dead" else (late, ["ready"]))
    queue.assert_counters()


# --- other ends ----------------------------------------------------------------------------------------------------


def test_a_cancelled_head_lets_its_room_go_on(redis: Redis) -> None:
    """At once, and a decision comes too late for it."""
    queue = _held(redis)
    queue.rung()
    queue.now += 2000
    assert queue.cancel("h") == "cancelled"
    assert queue.rung()
    assert (queue.places("a"), queue.blocked()) == (["ready"], {})
    assert queue.decide("k", "a") == ("a", 0, 0)
    assert queue.header("h").state == "cancelled"
    assert _drained(queue) == ["a1"]
    _rest(queue)


def test_a_cancelled_message_in_the_middle_is_passed_over(redis: Redis) -> None:
    """The head waits on."""
    queue = _held(redis)
    queue.enqueue("a", "h2", hold=DEAD_LETTER)
    assert (queue.cancel("h2"), queue.places("a")) == ("cancelled", ["held"])
    queue.decide("k", "a")
    assert _drained(queue) == ["h", "a1"]
    _rest(queue)


def test_a_held_head_that_expires_lets_its_room_go_on(redis: Redis) -> None:
    """Its time to be delivered ends before its hold, also one that its timeout would release."""
    queue = Queue(redis)
    queue.enqueue("a", "h", hold=RELEASE, expires="20000")
    queue.enqueue("a", "a1")
    assert redis.zscore(f"{queue.prefix}held", "a") == queue.now + 20_000
    queue.sweep_for(19_000)
    assert queue.header("h").state == "held"
    queue.sweep_for(1000)
    assert _ends(queue, "h") == ("dead", "expired")
    assert (queue.places("a"), queue.blocked()) == (["ready"], {})
    assert _drained(queue) == ["a1"]
    _rest(queue)


def test_a_decision_behind_an_expired_one_is_not_lost(redis: Redis) -> None:
    """When a head's time is over and the next one's is not, that one waits on."""
    queue = Queue(redis)
    queue.enqueue("a", "h1", hold=f"d{9 * HOLD_MS}:first", expires="20000")
    queue.enqueue("a", "h2", hold=DEAD_LETTER)
    queue.sweep_for(20_000)
    assert (queue.header("h1").state, queue.header("h2").state) == ("dead", "held")
    assert queue.blocked() == {"a": (queue.now, HELD)}
    assert queue.decide("k", "a")[1] == 1
    assert _drained(queue) == ["h2"]
    _rest(queue)


def test_a_released_message_still_expires(redis: Redis) -> None:
    """Its time to be delivered counts from its acceptance."""
    queue = Queue(redis)
    queue.enqueue("a", "h", hold=DEAD_LETTER, expires="20000")
    queue.decide("k", "a")
    queue.now += 20_000
    assert _drained(queue) == []
    assert _ends(queue, "h") == ("dead", "expired")
    _rest(queue)


def test_a_held_head_can_be_skipped(redis: Redis) -> None:
    """Its dead letter says what it was blocked by, and a decision comes too late."""
    queue = _held(redis)
    queue.now += 2000
    assert queue.skip("a") == ["skipped", "h"]
    assert queue.detail("h") == f"skipped by an operator; it was blocked by: {HELD}"
    assert (queue.places("a"), queue.blocked()) == (["ready"], {})
    assert queue.decide("k", "a") == ("a", 0, 0)
    assert _drained(queue) == ["a1"]
    _rest(queue)


def test_a_skip_before_a_held_message_leaves_that_one_held(redis: Redis) -> None:
    """Only the head goes."""
    queue = _held(redis)
    queue.enqueue("a", "h2", hold=f"d{HOLD_MS}:other")
    queue.skip("a")
    assert _drained(queue) == ["a1"]
    assert (queue.places("a"), queue.waiting("a"), list(queue.blocked())) == (["held"], "h2", ["a"])
    assert queue.skip("a") == ["skipped", "h2"]
    _rest(queue)


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
    assert redis.getrange(f"{queue.prefix}message:h", 10, 17) == b"0" * 8
    queue.turn(*map(settle, claims), free=-1)
    queue.decide("first", "a")
    assert _drained(queue) == [*["a1"][len(claims) :], "a2", "h"]
    assert (queue.places("a"), queue.waiting("a"), queue.counters()["depth"]) == ([], "", 0)


@pytest.mark.parametrize("dropped_by", ["a claim", "a settle"])
def test_a_forbidden_message_that_left_its_list_is_listed_once_by_a_replay(redis: Redis, dropped_by: str) -> None:
    """Whoever drops it takes its mark off, so that a replay looks for it in no list."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    (claim,) = queue.turn().claims
    queue.enqueue("a", *(["a2"] if dropped_by == "a claim" else []))
    queue.enqueue("a", "h", hold=DEAD_LETTER)
    queue.enqueue("a", "a3")
    queue.decide("k", "fno")
    (following,) = queue.turn(settle(claim)).claims
    assert queue.waiting("a") == ("a2 a3" if dropped_by == "a claim" else "a3")
    assert redis.getrange(f"{queue.prefix}message:h", 10, 17) == b"0" * 8
    queue.replay("h")
    assert queue.turn(settle(following)).batches == ["h"]


def test_a_forbidden_message_that_is_purged_in_the_middle_is_passed_over(redis: Redis) -> None:
    """Its tombstone stays mortal, and so does what is left of it once that is gone."""
    queue = _held(redis)
    queue.enqueue("a", "h2", "h3", hold=f"d{HOLD_MS}:other")
    queue.enqueue("a", "a2")
    queue.decide("other", "fno")
    assert queue.purge("h2", "h3") == 2
    redis.delete(f"{queue.prefix}message:h3")
    queue.decide("k", "a")
    assert _drained(queue) == ["h", "a1", "a2"]
    assert redis.ttl(f"{queue.prefix}message:h2") > 0
    assert redis.exists(f"{queue.prefix}message:h3") == 0
    assert (queue.places("a"), queue.waiting("a")) == ([], "")


def test_a_replay_to_a_held_room_waits_behind_its_head(redis: Redis) -> None:
    """A dead letter of a hold that timed out is replayed without a decision."""
    queue = _held(redis)
    queue.enqueue("a", "h2", hold=f"d{9 * HOLD_MS}:other")
    queue.sweep_for(HOLD_MS)
    assert _drained(queue) == ["a1"]
    assert queue.replay("h") == [1, 0, 0]
    assert (queue.places("a"), queue.waiting("a")) == (["held"], "h2 h")
    assert queue.decide("k", "fno") == ("fno", 0, 0)
    queue.decide("other", "a")
    assert _drained(queue) == ["h2", "h"]
    assert (queue.places("a"), queue.waiting("a"), queue.counters()["depth"]) == ([], "", 0)


@pytest.mark.parametrize("gate", ["paused", "broken"])
def test_a_decision_behind_a_closed_gate_waits_for_it(redis: Redis, gate: str) -> None:
    """It is released, and goes out when the channel may push; nothing rings before."""
    queue = _held(redis)
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
    assert "h" in " ".join(_drained(queue))
    assert _drained(queue) == []
    _rest(queue)


def test_a_closed_gate_stops_no_timeout(redis: Redis) -> None:
    """A probe does not take a held head either, however long nothing else is there."""
    queue = _held(redis, RELEASE)
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


# --- as a caller and an operator see it ------------------------------------------------------------------------------


@pytest.fixture
def stack(redis_url: str, api: FakeApi, tmp_path: Path) -> Iterator[Stack]:
    """A worker that pushes to the stand-in."""
    stack = Stack(redis_url, api, tmp_path, channel_settings(api.url))
    try:
        stack.worker("-c", "1").ready()
        yield stack
    finally:
        stack.close()


def test_a_held_message_says_so_with_its_key_and_its_end(redis: Redis, redis_url: str, producer: Producer) -> None:
    """Its receipt, its status, and what an operator sees of its room."""
    Queue(redis)
    receipt = producer.send("support", RoomMessage("a", "hi"), hold=Hold("k", 90), idempotency_key="once")
    assert receipt.state == "held"
    status = producer.status("support", receipt.message_id)
    assert status is not None
    assert (status.state, status.reason, status.attempts) == ("held", None, 0)
    assert status.detail == "waiting for a decision on k"
    assert status.due_at is not None
    assert (status.due_at - status.accepted_at).total_seconds() == 90
    again = producer.send("support", RoomMessage("a", "hi"), hold=Hold("k", 90), idempotency_key="once")
    assert (again.state, again.duplicate) == ("held", True)
    with Inspector(redis_url) as inspector:
        (one,) = inspector.blocked("support", 10)
        overview = inspector.overview("support")
    assert (one.state, one.next_try, one.why, one.behind) == ("held", status.due_at, HELD, 0)
    assert (one.message_id, one.attempts, one.since) == (receipt.message_id, 0, status.accepted_at)
    assert overview is not None
    assert (overview.held, overview.blocked, overview.depth, overview.ready) == (1, 1, 1, 0)
    assert producer.decide("support", "k", "allow") == "allow"
    released = producer.status("support", receipt.message_id)
    assert released is not None
    assert (released.state, released.due_at, released.detail) == ("queued", None, None)
    with Inspector(redis_url) as inspector:
        assert list(inspector.blocked("support", 10)) == []


def test_a_decision_of_more_than_a_call_takes_is_whole(redis: Redis, producer: Producer) -> None:
    """500 messages of one key are decided when `decide` returns."""
    queue = Queue(redis)
    queue.enqueue("a", *(f"m{n}" for n in range(500)), hold=DEAD_LETTER)
    assert producer.decide("support", "k", "discard") == "forbid"
    assert queue.counters()["depth"] == 0
    assert producer.decide("support", "k", "allow") == "forbid"
    assert _ends(queue, "m499") == ("dead", "forbidden")
    assert queue.detail("m499") == "the decision was discard"


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("allow", ["secret", "behind"]),
        ("rewrite", ["***", "behind"]),
        ("forbid", ["behind"]),
        ("discard", ["behind"]),
    ],
)
def test_a_worker_pushes_what_the_decision_left(
    stack: Stack, producer: Producer, verdict: Verdict, expected: list[str]
) -> None:
    """With a real worker: the room waits while another one does not, and goes on at once."""
    held = producer.send("support", RoomMessage("r", "secret"), hold=Hold("k", 60))
    producer.send("support", RoomMessage("r", "behind"))
    producer.send("support", RoomMessage("other", "hello"))
    stack.wait_for(1)
    wait_until(lambda: stack.depth() == 2, "the other room to be settled")
    assert (stack.api.rooms(), stack.state(producer, held)) == ({"other": 1}, "held")
    message = RoomMessage("-", "***") if verdict == "rewrite" else None
    producer.decide("support", "k", verdict, message=message, reason="why not")
    wait_until(lambda: stack.depth() == 0, "the room to go on")
    assert stack.api.texts("r") == expected
    status = producer.status("support", held.message_id)
    assert status is not None
    if verdict in {"forbid", "discard"}:
        assert (status.state, status.reason, status.detail) == ("dead", "forbidden", "why not")
    else:
        assert (status.state, status.attempts) == ("delivered", 1)


def test_a_worker_ends_holds(stack: Stack, producer: Producer) -> None:
    """With a real worker: soon after the timeout one room gets its message, the other a dead letter."""
    released = producer.send("support", RoomMessage("r", "released"), hold=Hold("k", 0.5, on_timeout="release"))
    dead = producer.send("support", RoomMessage("d", "dead"), hold=Hold("k", 0.5))
    producer.send_many("support", [RoomMessage("r", "behind"), RoomMessage("d", "behind")])
    stack.wait_for(3, 12)
    assert (stack.api.texts("r"), stack.api.texts("d")) == (["released", "behind"], ["behind"])
    stack.wait_for_state(producer, released, "delivered")
    status = producer.status("support", dead.message_id)
    assert status is not None
    assert (status.state, status.reason) == ("dead", "expired")


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
