"""A message's timeline as lines for people."""

from pushlane.operators.timeline import timeline_of
from pushlane.push_record import PushRecord
from pushlane.receipt import MessageStatus
from pushlane.service.json_fields import rfc_3339

_OUTCOME_COLUMNS = len("misconfigured")


def timeline(status: MessageStatus) -> list[str]:
    """One line per event, in the order in which they happened."""
    return [f"{rfc_3339(event.at)}  {_line(event.push) if event.push else event.what}" for event in timeline_of(status)]


def _line(push: PushRecord) -> str:
    name = "push" if push.number is None else f"push {push.number}"
    took = "worker lost" if push.duration_ms is None else f"{push.duration_ms:,} ms"
    where = f"position {push.position} of {push.size}"
    line = f"{name:<8}  {where:<17}  {push.outcome:<{_OUTCOME_COLUMNS}}  {took:>11}  {push.detail or ''}"
    return line.rstrip()
