"""A message in Redis: its record, and the details that only some have; ``lua/lib_record.lua`` says which.

The scripts lay both out, and a test compares the fields. A record is a header of fixed width, then conversation,
address and body. Details are fields of fixed width and a text: why it is dead, or the hold while it is held. A claim's
have the context of the message's trace there, as a queued message has no text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

FIELDS = {
    "version": slice(0, 1),
    "state": slice(1, 2),
    "mark": slice(2, 3),
    "sequence": slice(3, 17),
    "accepted": slice(17, 30),
    "fingerprint": slice(30, 54),
    "conversation_bytes": slice(54, 57),
    "address_bytes": slice(57, 61),
}
"""Where each field of a record's header is. Numbers have leading zeros."""
HEADER_BYTES = 61
DETAILS = {
    "reason": slice(0, 1),
    "flags": slice(1, 2),
    "attempts": slice(2, 6),
    "losses": slice(6, 8),
    "part": slice(8, 16),
    "joined": slice(16, 29),
    "due": slice(29, 42),
    "expires": slice(42, 55),
    "final": slice(55, 68),
    "pushed": slice(68, 81),
}
"""Where each field of the details is, in front of their text."""
DETAILS_BYTES = 81

STATES = {"q": "queued", "s": "scheduled", "h": "held", "d": "delivered", "c": "cancelled", "x": "dead"}
REASONS = {"r": "rejected", "e": "expired", "a": "exhausted", "u": "unknown", "f": "forbidden"}
REASON_CODES = {reason: code for code, reason in REASONS.items()}
NO_REASON = "-"
_VERSION = b"2"


def from_ms(value: int) -> datetime | None:
    """A time of the record as aware UTC; None if it is not set."""
    return datetime.fromtimestamp(value / 1000, tz=UTC) if value else None


@dataclass(frozen=True, slots=True)
class Header:
    """What a record and its details say of a message, without texts. Times are server time in ms, 0 for never."""

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


def is_unreadable(record: bytes) -> bool:
    """Whether a newer version wrote the record, in a layout that this one does not know."""
    return record[FIELDS["version"]] not in {b"", _VERSION}


def state_of(record: bytes) -> str | None:
    """The state; None if there is no record, or an unreadable one."""
    return STATES.get(record[FIELDS["state"]].decode()) if record[FIELDS["version"]] == _VERSION else None


def read_header(record: bytes, details: bytes) -> Header:
    """What the first ``HEADER_BYTES`` of a record and its details say; no details are those of a new message."""
    attempts, joined_ms = history_of(record, details)
    return Header(
        state=STATES[record[FIELDS["state"]].decode()],
        reason=REASONS.get(details[DETAILS["reason"]].decode()),
        maybe_delivered=details[DETAILS["flags"]] == b"m",
        attempts=attempts,
        losses=int(details[DETAILS["losses"]] or 0),
        sequence=int(record[FIELDS["sequence"]]),
        accepted_ms=int(record[FIELDS["accepted"]]),
        joined_ms=joined_ms,
        due_ms=int(details[DETAILS["due"]] or 0),
        final_ms=int(details[DETAILS["final"]] or 0),
        pushed_ms=int(details[DETAILS["pushed"]] or 0),
    )


def attempts_of(details: bytes) -> int:
    """The pushes that have counted against a message's retry budget. Each push is logged with it."""
    return int(details[DETAILS["attempts"]] or 0)


def history_of(record: bytes, details: bytes) -> tuple[int, int]:
    """The attempts, and the ms at which it joined its conversation."""
    return attempts_of(details), int(details[DETAILS["joined"]] or record[FIELDS["accepted"]])


def first_expiry(details: Sequence[bytes]) -> int:
    """The server time in ms at which the first of these messages expires; 0 for never."""
    return min((at for one in details if (at := int(one[DETAILS["expires"]] or 0))), default=0)


def _content_ends(record: bytes) -> tuple[int, int]:
    """Where conversation and address of a record end."""
    conversation = HEADER_BYTES + int(record[FIELDS["conversation_bytes"]])
    return conversation, conversation + int(record[FIELDS["address_bytes"]])


def conversation_of(record: bytes) -> str:
    """The conversation of a record, or of its beginning."""
    return record[HEADER_BYTES : _content_ends(record)[0]].decode()


def read_content(record: bytes) -> tuple[str, bytes, bytes]:
    """Conversation, address and body of a whole record."""
    conversation, address = _content_ends(record)
    return record[HEADER_BYTES:conversation].decode(), record[conversation:address], record[address:]


def read_body(record: bytes) -> bytes:
    """The body of a whole record."""
    return record[_content_ends(record)[1] :]


def text_of(details: bytes) -> str:
    """Why a message is dead, in words."""
    return details[DETAILS_BYTES:].decode(errors="replace")


def trace_of(details: bytes) -> bytes:
    """The trace context in the details of a claim; empty if the message was not sent in a traced span."""
    return details[DETAILS_BYTES:]


def hold_key(details: bytes) -> str:
    """The key that a held message waits for."""
    return details[DETAILS_BYTES + 1 :].decode()


def write_content(fingerprint: bytes, conversation: bytes, address: bytes, body: bytes) -> bytes:
    """A new record from its fingerprint on: what ``lua/enqueue.lua`` gets and stores behind the rest of the header."""
    lengths = b"%03d%04d" % (len(conversation), len(address))
    return b"".join((fingerprint, lengths, conversation, address, body))
