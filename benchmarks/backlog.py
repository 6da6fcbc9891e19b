"""The messages of a run, the same for every side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH: Final = 10
"""CINNOX's limit."""
TEXT: Final = "Hello, this is a message of about sixty characters, as usual"


@dataclass(frozen=True, slots=True)
class Backlog:
    """So many messages in so many rooms, ten of a room in a row: the order that suits a peer that batches best."""

    messages: int
    rooms: int
    prefix: str = "room"
    text: str = TEXT

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Rooms and texts."""
        for number in range(self.messages):
            yield f"{self.prefix}-{number // self.batch % self.rooms}", self.text

    @property
    def batch(self) -> int:
        """How many messages a full push of it carries."""
        return min(BATCH, -(-self.messages // self.rooms))
