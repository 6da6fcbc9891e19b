"""What happened to a message, in order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pushlane.callback.page.formats import pushed
from pushlane.operators.timeline import Event, timeline_of
from pushlane.push_record import PushRecord
from pushlane.receipt import MessageStatus

T = datetime(2026, 11, 30, 8, tzinfo=UTC)
NEW = MessageStatus(
    message_id="m",
    channel="support",
    conversation="room",
    state="queued",
    reason=None,
    detail=None,
    attempts=0,
    maybe_delivered=False,
    accepted_at=T,
    joined_at=T,
    due_at=None,
    final_at=None,
    last_push=None,
    pushes=(),
    pushes_cut=False,
)


def after(minutes: int) -> datetime:
    """So long after the message was accepted."""
    return T + timedelta(minutes=minutes)


def push(minutes: int, **facts: object) -> PushRecord:
    """A push that failed."""
    failed = PushRecord(
        number=1, at=after(minutes), outcome="failed", position=1, size=1, duration_ms=1200, lost=False, detail="503"
    )
    return replace(failed, **facts)  # type: ignore[arg-type] # fields by name


def test_a_message_that_waits_was_accepted() -> None:
    """There is nothing else to say."""
    assert timeline_of(NEW) == [Event(T, "accepted")]


def test_a_delivery_at_the_first_try_is_two_events() -> None:
    """It joined when it was accepted, and no push is listed."""
    delivered = replace(NEW, state="delivered", attempts=1, final_at=after(1))
    assert timeline_of(delivered) == [Event(T, "accepted"), Event(after(1), "delivered")]


def test_pushes_stand_between_joining_and_the_end() -> None:
    """In the order of time."""
    pushes = (push(2), push(3, number=None, outcome="throttled", size=10, position=3, detail=None))
    lost = push(4, number=2, outcome="unknown", duration_ms=None, lost=True, detail="its lease ran out")
    status = replace(NEW, state="dead", reason="unknown", joined_at=after(1), final_at=after(5), pushes=(*pushes, lost))
    assert timeline_of(status) == [
        Event(T, "accepted"),
        Event(after(1), "joined its conversation"),
        *(Event(one.at, push=one) for one in (*pushes, lost)),
        Event(after(5), "dead: unknown"),
    ]
    assert [pushed(one) for one in (*pushes, lost)] == [
        "push 1 took 1,200 ms",
        "push (message 3 of 10) took 1,200 ms",
        "push 2, its worker was lost",
    ]


def test_a_replay_joins_after_earlier_pushes_and_what_is_not_kept_is_told() -> None:
    """In the place where it would stand."""
    status = replace(NEW, joined_at=after(9), pushes=(push(2),), pushes_cut=True)
    assert timeline_of(status) == [
        Event(T, "accepted"),
        Event(after(2), "… earlier pushes are not kept"),
        Event(after(2), push=push(2)),
        Event(after(9), "joined its conversation"),
    ]
    assert "… earlier pushes are not kept" in [event.what for event in timeline_of(replace(status, pushes=()))]


def test_what_is_still_to_come_stands_last() -> None:
    """A schedule or a hold that has not ended; one that has is no news."""
    scheduled = replace(NEW, state="scheduled", joined_at=None, due_at=after(30))
    assert timeline_of(scheduled)[-1] == Event(after(30), "joins its conversation")
    assert timeline_of(replace(NEW, state="held", due_at=after(30)))[-1].what == "its hold ends"
    assert len(timeline_of(replace(NEW, state="queued", due_at=after(30)))) == 1
