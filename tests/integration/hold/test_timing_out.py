"""Holds that time out without a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.holds import DEAD_LETTER, HOLD_MS, RELEASE, assert_at_rest, drained, end_of, held_room
from support.queue import Queue

if TYPE_CHECKING:
    from redis import Redis

UNBROKEN_MS = 5000


@pytest.mark.parametrize("hold", [DEAD_LETTER, RELEASE], ids=["dead_letter", "release"])
def test_a_hold_times_out_as_its_sender_chose(redis: Redis, hold: str) -> None:
    """As an expired dead letter, or as if it had been allowed; a later decision changes nothing. It rings."""
    queue = held_room(redis, hold)
    queue.sweep_for(HOLD_MS - 1000)
    assert queue.header("h").state == "held"
    queue.rung()
    queue.now += 1000
    queue.sweep()
    assert queue.rung()
    released = hold == RELEASE
    assert end_of(queue, "h") == (("queued", None) if released else ("dead", "expired"))
    if released:
        assert queue.header("h").joined_ms == queue.now
    else:
        assert (queue.header("h").final_ms, queue.detail("h")) == (
            queue.now,
            "its hold timed out without a decision",
        )
    assert (queue.places("a"), queue.blocked()) == (["ready"], {})
    assert queue.decide("k", "a" if not released else "fno")[1:] == (0, 0)
    assert drained(queue) == (["h", "a1"] if released else ["a1"])
    assert_at_rest(queue)


@pytest.mark.parametrize("hold", [DEAD_LETTER, RELEASE], ids=["dead_letter", "release"])
def test_a_hold_times_out_only_after_five_seconds_of_sweeps(redis: Redis, hold: str) -> None:
    """After an outage of Redis or of all workers a decision has the first word."""
    queue = held_room(redis, hold)
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
    queue = held_room(redis)
    queue.now += HOLD_MS + 1
    assert queue.decide("k", "a")[1] == 1
    assert drained(queue) == ["h", "a1"]


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
    assert_at_rest(queue)


def test_a_hold_in_the_middle_times_out_when_it_is_the_head(redis: Redis) -> None:
    """What is before it comes first, however late."""
    queue = Queue(redis)
    queue.enqueue("a", "h1", hold=f"r{3 * HOLD_MS}:first")
    queue.enqueue("a", "h2", hold=DEAD_LETTER)
    queue.sweep_for(2 * HOLD_MS)
    assert (queue.header("h1").state, queue.header("h2").state) == ("held", "held")
    queue.decide("first", "a")
    assert drained(queue) == ["h1"]
    queue.sweep_for(2000)
    assert end_of(queue, "h2") == ("dead", "expired")
    assert_at_rest(queue)


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
    assert end_of(queue, late) == ends
    body, why = (late.encode(), "not nice") if ends[0] == "dead" else (decision[1:].encode() or late.encode(), "")
    assert (queue.content(late)[2], queue.detail(late)) == (body, why)
    assert (queue.waiting(late), queue.places(late)) == (("", []) if ends[0] == "dead" else (late, ["ready"]))
    queue.assert_counters()
