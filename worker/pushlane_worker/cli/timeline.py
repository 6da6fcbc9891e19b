"""A message's timeline as lines for people: accepted, joined, each listed push, and how it ended."""

from collections.abc import Iterator
from datetime import datetime

from pushlane.push_record import PushRecord
from pushlane.receipt import MessageStatus
from pushlane.service.json_fields import rfc_3339

_OUTCOME_COLUMNS = len("misconfigured")


def timeline(status: MessageStatus) -> list[str]:
    """One line per event, in the order in which they happened; a replay joins after earlier pushes."""
    return [f"{rfc_3339(at)}  {what}" for at, what in sorted(_events(status), key=lambda event: event[0])]


def _events(status: MessageStatus) -> Iterator[tuple[datetime, str]]:
    yield status.accepted_at, "accepted"
    if status.joined_at not in {None, status.accepted_at}:
        yield status.joined_at, "joined"
    if status.pushes_cut:
        yield min((push.at for push in status.pushes), default=status.accepted_at), "… earlier pushes are not kept"
    for push in status.pushes:
        yield push.at, _line(push)
    if status.final_at is not None:
        yield status.final_at, status.state + (f": {status.reason}" if status.reason else "")


def _line(push: PushRecord) -> str:
    name = "push" if push.number is None else f"push {push.number}"
    took = "worker lost" if push.duration_ms is None else f"{push.duration_ms:,} ms"
    where = f"position {push.position} of {push.size}"
    line = f"{name:<8}  {where:<17}  {push.outcome:<{_OUTCOME_COLUMNS}}  {took:>11}  {push.detail or ''}"
    return line.rstrip()
