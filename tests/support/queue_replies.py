"""What the queue's scripts answer, as the driver gives it to a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pushlane.message_record import FIELDS, STATES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushlane_worker.queue.turns import Claim


@dataclass(frozen=True)
class Accepted:
    """What ``enqueue`` said of one message."""

    sequence: int
    state: str
    duplicate: bool


def read_accepted(reply: Sequence[Any]) -> list[Accepted]:
    """What ``enqueue`` said of each message."""
    code, *values = reply
    assert code == 0, f"enqueue answered {code} {values}"
    triples = zip(values[::3], values[1::3], values[2::3], strict=True)
    return [Accepted(sequence, STATES[state.decode()], bool(again)) for sequence, state, again in triples]


@dataclass(frozen=True)
class Sweep:
    """A sweep's reply; ``ran`` is False when another swept just now. ``died``: ids and the letters of reasons."""

    ran: bool
    more: bool = False
    expired: tuple[Claim, ...] = ()
    unread: int = 0
    died: tuple[tuple[bytes, bytes], ...] = ()


def texts(raw: Mapping[bytes, bytes]) -> dict[str, str]:
    """A hash as text."""
    return {name.decode(): value.decode() for name, value in raw.items()}


def scheduled_id(member: str) -> str:
    """The id in a member of the scheduled messages, behind the message's sequence."""
    sequence = FIELDS["sequence"]
    return member[sequence.stop - sequence.start :]
