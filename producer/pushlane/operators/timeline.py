"""What happened to a message, and what is still to come, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from pushlane.push_record import PushRecord
    from pushlane.receipt import MessageStatus


@dataclass(frozen=True, slots=True)
class Event:
    """An event in words, or a push."""

    at: datetime
    what: str = ""
    push: PushRecord | None = None


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
    for push in status.pushes:
        yield Event(push.at, push=push)
    if status.due_at is not None and status.state in {"scheduled", "held"}:
        yield Event(status.due_at, "joins its conversation" if status.state == "scheduled" else "its hold ends")
    if status.final_at is not None:
        yield Event(status.final_at, status.state + (f": {status.reason}" if status.reason else ""))
