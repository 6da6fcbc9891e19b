"""Counts, replays or purges all dead letters of a reason, in steps that each take a bounded time.

There may be millions, more than fit into one request. A step begins where the one before ended and returns a
``Progress``, which a caller may carry through a form: nothing of it is kept but the zset of a replay run, which lasts
an hour. Letters that die after the first step are left alone. An interrupted replay leaves the rest dead.
"""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from pushlane.operators.actions import Operator
from pushlane.operators.dead_letters import DeadLetters, Page, Selection

STEP_S: Final = 3.0
"""How long a step goes on; the round trip that it ends with may take longer."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is.

    Attributes:
        reason: That of the letters; None: any.
        newest: In ms; letters that died later are left alone.
        run: Names the run of a replay.
        cursor: Where the walk over the dead letters goes on; None when it is done.
        looked_at: How many letters the walk has looked at.
        found: How many of them have the reason.
        done: How many are queued again, or purged.
        left: How many a replay has found and not put back.
        full: The channel is full: these stay dead.
    """

    reason: str | None
    newest: int
    run: str = ""
    cursor: int | None = 0
    looked_at: int = 0
    found: int = 0
    done: int = 0
    left: int = 0
    full: bool = False

    @property
    def ended(self) -> bool:
        """Whether no further step does anything."""
        return self.cursor is None and (self.full or not self.left)


def begin(operator: Operator, channel: str, reason: str | None) -> Progress:
    """The progress before the first step."""
    return Progress(reason, int(operator.dead_letters(channel).newest()), new_run())


def new_run() -> str:
    """A name for a run."""
    return secrets.token_hex(8)


def count(operator: Operator, channel: str, progress: Progress) -> Progress:
    """Looks at more of them, and does nothing to them."""
    walk = _Walk(operator.dead_letters(channel), progress)
    for _ in walk.pages():
        pass
    return walk.progress


def purge(operator: Operator, channel: str, progress: Progress) -> Progress:
    """Deletes the content of more of them."""
    walk = _Walk(operator.dead_letters(channel), progress)
    purged = operator.purge(channel, (letter.message_id for page in walk.pages() for letter in page.letters))
    return replace(walk.progress, done=progress.done + purged)


def replay(operator: Operator, channel: str, progress: Progress) -> Progress:
    """Gathers more of them or, when all are gathered, puts more of them back, oldest first."""
    walk = _Walk(operator.dead_letters(channel), progress)
    with operator.replay(channel, progress.run) as run:
        for page in walk.pages():
            run.add({letter.message_id: letter.sequence for letter in page.letters})
        if walk.progress.cursor is None:
            for _ in run.steps():
                if walk.over:
                    break
    return replace(walk.progress, done=progress.done + run.replayed, left=run.left, full=run.full)


class _Walk:
    """Goes over more pages of dead letters for ``STEP_S``, one at least; ``progress`` follows."""

    def __init__(self, letters: DeadLetters, progress: Progress) -> None:
        self._letters = letters
        self._until = time.monotonic() + STEP_S
        self.progress = progress

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._until

    def pages(self) -> Iterator[Page]:
        """The letters of the reason in each page."""
        selection = Selection(reason=self.progress.reason)
        while self.progress.cursor is not None:
            cursor, page = self._letters.scan(self.progress.cursor, selection, self.progress.newest)
            self.progress = replace(
                self.progress,
                cursor=cursor or None,
                looked_at=self.progress.looked_at + page.looked_at,
                found=self.progress.found + len(page.letters),
            )
            yield page
            if self.over:
                return
