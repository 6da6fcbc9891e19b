"""What happened to a message, and what is still to come, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushlane.callback.page.formats import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from pushlane.push_record import PushRecord
    from pushlane.receipt import MessageStatus


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the timeline. ``outcome`` is that of a push, ``detail`` its reason in words."""

    at: datetime
    what: str
    outcome: str = ""
    detail: str = ""


def timeline_of(status: MessageStatus) -> Sequence[Event]:
    """The events, oldest first; a replay joins after earlier pushes."""
    return sorted(_events(status), key=lambda event: event.at)


def _events(status: MessageStatus) -> Iterator[Event]:
    yield Event(status.accepted_at, "accepted")
    if status.joined_at is not None and status.joined_at != status.accepted_at:
        yield Event(status.joined_at, "joined its conversation")
    if status.pushes_cut:
        first = min((push.at for push in status.pushes), default=status.accepted_at)
        yield Event(first, "… earlier pushes are not kept")
    yield from map(_push, status.pushes)
    if status.due_at is not None and status.state in {"scheduled", "held"}:
        yield Event(status.due_at, "joins its conversation" if status.state == "scheduled" else "its hold ends")
    if status.final_at is not None:
        yield Event(status.final_at, status.state + (f": {status.reason}" if status.reason else ""))


def _push(push: PushRecord) -> Event:
    name = "push" if push.number is None else f"push {push.number}"
    place = f" (message {push.position} of {push.size})" if push.size > 1 else ""
    took = ", its worker was lost" if push.duration_ms is None else f" took {number(push.duration_ms)} ms"
    return Event(push.at, f"{name}{place}{took}", push.outcome, push.detail or "")
