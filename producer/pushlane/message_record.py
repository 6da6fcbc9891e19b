"""The packed record of a message, as ``lua/lib_record.lua`` lays it out; a test keeps the two in step.

A header of fixed width, then conversation, address, body and, once dead, the reason in words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

HEADER_BYTES = 147

STATES = {"q": "queued", "s": "scheduled", "h": "held", "d": "delivered", "c": "cancelled", "x": "dead"}
REASONS = {"r": "rejected", "e": "expired", "a": "exhausted", "u": "unknown", "f": "forbidden"}
REASON_CODES = {reason: code for code, reason in REASONS.items()}
NO_REASON = "-"
MAYBE_DELIVERED = b"m"
_NEVER = b"0" * 13


def from_ms(value: int) -> datetime | None:
    """A time of the record as aware UTC; None if it is not set."""
    return datetime.fromtimestamp(value / 1000, tz=UTC) if value else None


@dataclass(frozen=True, slots=True)
class Header:
    """The fixed part of a record. Times are server time in ms, 0 for never."""

    state: str
    reason: str | None
    maybe_delivered: bool
    attempts: int
    losses: int
    sequence: int
    accepted_ms: int
    joined_ms: int
    due_ms: int
    final_ms: int
    pushed_ms: int


def read_header(record: bytes) -> Header:
    """The header of a record, or of its first ``HEADER_BYTES``."""
    text = record[:HEADER_BYTES].decode("ascii")
    return Header(
        state=STATES[text[1]],
        reason=REASONS.get(text[2]),
        maybe_delivered=text[3] == "m",
        attempts=int(text[4:8]),
        losses=int(text[8:10]),
        sequence=int(text[18:32]),
        accepted_ms=int(text[32:45]),
        joined_ms=int(text[45:58]),
        due_ms=int(text[58:71]),
        final_ms=int(text[84:97]),
        pushed_ms=int(text[97:110]),
    )


def first_expiry(records: Sequence[bytes]) -> int:
    """The server time in ms at which the first of these messages expires; 0 for never."""
    # Every push calls this: comparing ten of them as bytes takes half the time of parsing them (2.3 us).
    expiries = {record[71:84] for record in records} - {_NEVER}
    return int(min(expiries)) if expiries else 0


def read_content(record: bytes) -> tuple[str, bytes, bytes, str]:
    """Conversation, address, body and detail of a whole record."""
    address = HEADER_BYTES + int(record[134:137])
    body = address + int(record[137:141])
    detail = body + int(record[141:147])
    return (
        record[HEADER_BYTES:address].decode(),
        record[address:body],
        record[body:detail],
        record[detail:].decode(errors="replace"),
    )
