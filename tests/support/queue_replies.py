"""What the queue's scripts answer, as the driver gives it to a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushlane.message_record import FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushlane_worker.queue.turns import Claim


@dataclass(frozen=True)
class Accepted:
    """What ``enqueue`` said of one message."""

    sequence: int
    state: str
    duplicate: bool


@dataclass(frozen=True)
class Sweep:
    """A sweep's reply; ``ran`` is False when another swept just now."""

    ran: bool
    more: bool = False
    expired: tuple[Claim, ...] = ()


def texts(raw: Mapping[bytes, bytes]) -> dict[str, str]:
    """A hash as text."""
    return {name.decode(): value.decode() for name, value in raw.items()}


def scheduled_id(member: str) -> str:
    """The id in a member of the scheduled messages, behind the message's sequence."""
    sequence = FIELDS["sequence"]
    return member[sequence.stop - sequence.start :]
