"""What a producer learns about a message: that it was accepted, where it is, and what became of cancelling it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 # MessageStatus's OpenAPI schema is built from its annotations
from typing import Literal

from pushlane.push_record import PushRecord  # noqa: TC001 # the same


@dataclass(frozen=True, slots=True)
class Receipt:
    """An accepted message.

    Attributes:
        sequence: The acceptance number within the channel: messages of a conversation first arrive in this order.
        duplicate: The idempotency key was used for this message before; nothing was enqueued now.
    """

    message_id: str
    channel: str
    conversation: str
    sequence: int
    state: str
    duplicate: bool


CancelResult = Literal["cancelled", "maybe_delivered", "in_flight", "already_final", "not_found"]


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """Where a message is. Times are aware UTC by Redis's clock; the text is never included.

    Attributes:
        state: scheduled, held, queued, in_flight, delivered, cancelled or dead.
        reason: Why it is dead: rejected, expired, exhausted, unknown or forbidden.
        detail: The reason in words, such as the API's own.
        attempts: Pushes that counted against its retry budget, and the one that delivered it.
        maybe_delivered: A push of it had an unknown outcome, so the API may already have it.
        joined_at: When it joined its conversation, or was released or replayed; its age counts from then. None while
            it is scheduled.
        due_at: When a scheduled message joins its conversation, or the hold of a held one ends.
        final_at: When it was delivered, cancelled or dead-lettered.
        last_push: When its last counted push ended.
        pushes: Its pushes, oldest first; none if it was delivered at the first try. Kept are those among the last 20
            of its conversation, for the retention after the last of them.
        pushes_cut: Earlier pushes of it may not be kept any more.
    """

    message_id: str
    channel: str
    conversation: str
    state: str
    reason: str | None
    detail: str | None
    attempts: int
    maybe_delivered: bool
    accepted_at: datetime
    joined_at: datetime | None
    due_at: datetime | None
    final_at: datetime | None
    last_push: datetime | None
    pushes: tuple[PushRecord, ...]
    pushes_cut: bool
