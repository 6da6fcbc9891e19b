"""One message and one claimed batch, as the queue's model knows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pushlane_worker.queue.turns import Claim

FINAL = frozenset(["delivered", "dead", "cancelled"])
WAITING = frozenset(["queued", "held"])
"""The states of what stands in a conversation's list."""


@dataclass
class Message:
    """What the model knows of one message; times in ms, 0 for never."""

    conversation: str
    address: bytes
    sequence: int
    state: str = "queued"
    joined: int = 0
    due: int = 0
    """When it joins, or while it is held: when its hold ends."""
    expires: int = 0
    hold: str = ""
    releases: bool = False
    """What its hold's timeout does."""
    trace: str = ""
    """The context of the span that sent it."""
    attempts: int = 0
    losses: int = 0
    part: int = 0
    lives: int = 1
    maybe: bool = False
    pushed: bool = False
    """Whether a push of it has ended that cost an attempt, or whose outcome is unknown."""
    purged: bool = False

    def over(self, now: int) -> bool:
        """Whether it may be delivered no more."""
        return 0 < self.expires <= now


@dataclass(eq=False)
class Flight:
    """A claimed batch: in flight, or forgotten by a worker that died."""

    claim: Claim
    drain: str
    deadline: int
    lives: list[int]
    """How often each of its messages had been in the queue when it was claimed."""
    accepted: bool = False
    doubtful: bool = False

    @property
    def names(self) -> list[str]:
        """Its message ids."""
        return [name.decode() for name in self.claim.message_ids]
