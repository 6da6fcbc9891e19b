"""A push in a message's timeline: an entry of its conversation's list, written by the worker's ``lua/lib_pushes.lua``.

A push that delivers a batch at the first try has no entry.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime  # noqa: TC003 # the OpenAPI schema is built from the annotations
from typing import TYPE_CHECKING, Final

from pushlane.message_record import from_ms
from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushlane.message_record import Header

MAX_PUSHES: Final = 20
"""How many pushes of a conversation are listed."""
ID_CHARS: Final = 8
"""How much of a message's id an entry has, from its end."""
DETAIL_BYTES: Final = 60
"""How much is shown of a detail. An entry has one more byte if there was more."""


@dataclass(frozen=True, slots=True)
class PushRecord:
    """A push of one message, alone or in a batch.

    Attributes:
        number: Which attempt it was, from 1; a replay counts anew. None if it counted as none, such as a throttled
            one, or if it was before the last replay.
        at: When it ended, or its worker was taken for lost. Aware UTC by Redis's clock.
        outcome: throttled, misconfigured, rejected, failed, unknown or delivered.
        position: Which message of the batch it was, from 1.
        size: How many messages the batch had.
        duration_ms: How long it took; None if its worker was lost.
        lost: Its worker was lost before it had recorded an outcome.
        detail: The reason, cut to 60 bytes and an ellipsis; None if there is none.
    """

    number: int | None
    at: datetime
    outcome: str
    position: int
    size: int
    duration_ms: int | None
    lost: bool
    detail: str | None


def read_pushes(entries: Sequence[bytes], message_id: str, header: Header) -> tuple[tuple[PushRecord, ...], bool]:
    """The pushes of a message, oldest first, and whether earlier ones may be missing.

    ``entries`` are those of its conversation, oldest first.
    """
    listed = [push for entry in entries if (push := _read(entry, message_id)) is not None]
    attempts = header.attempts
    if header.state == "delivered" and not (listed and listed[-1].outcome == "delivered"):
        attempts -= 1  # at the first try, which is not listed
    pushes: list[PushRecord] = []
    for push in reversed(listed):
        counted = push.number is not None
        pushes.append(replace(push, number=attempts if counted and attempts > 0 else None))
        attempts -= counted
    full = len(entries) >= MAX_PUSHES and int(entries[0].split()[0]) >= header.accepted_ms
    return tuple(reversed(pushes)), full or attempts > 0


def _read(entry: bytes, message_id: str) -> PushRecord | None:
    """The push with 0 for the number of an attempt; None if the message was not in it."""
    *head, detail = entry.split(b" ", 4)
    ended, took, flags, ids = (word.decode() for word in head)
    batch, lost = ids.split(","), flags[1] == "1"
    if message_id[-ID_CHARS:] not in batch:
        return None
    return PushRecord(
        number=0 if flags[2] == "1" else None,
        at=from_ms(int(ended)),  # type: ignore[arg-type] # a push has ended at some time
        outcome=Outcome(int(flags[0])).name.lower(),
        position=batch.index(message_id[-ID_CHARS:]) + 1,
        size=len(batch),
        duration_ms=None if lost else int(took),
        lost=lost,
        detail=_shown(detail) or None,
    )


def _shown(detail: bytes) -> str:
    text = detail[:DETAIL_BYTES].decode(errors="ignore")  # a character may have been cut
    return f"{text}…" if len(detail) > DETAIL_BYTES else text
