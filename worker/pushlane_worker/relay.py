"""Who claims for a channel in this process: one drain at a time, whose place the next one takes.

::

    a ring's drain ──nobody claims, or the last takeover is a second ago──▶ claims, in the place of the one before
                   ──else──▶ waits ──the one before has left──▶ claims
                                   ──the second is over──▶ answers its ring, and so rings again
                   ──one waits already──▶ done: that one answers its ring, too

A full process gives its Celery process back, and may then get a ring that another one has places for. So it hands the
ring on: the first turn of a drain answers it, and what is left to claim rings again. It does so at once, but once a
second, or full processes would toss one ring about without end.

Celery gives a task to its first idle process. So what a drain rings for that takes over, while its task holds the
process, comes to the next one; the ring of one that has waited, without its task, comes back here first.
"""

import asyncio
import time
from dataclasses import dataclass, field

from pushlane_worker.drain import Drain

RELIEF_EACH_S = 1.0
"""As long as a ring that nobody answers is good for (``lua/lib_wake.lua``): a full process keeps none for longer."""


@dataclass(slots=True, eq=False)
class Relay:
    """The drains of one channel in the loop of one process."""

    _claiming: Drain | None = None
    _waits: bool = False
    _due: float = 0.0
    """When the next takeover may be, on the monotonic clock."""
    _place: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def claim(self, drain: Drain) -> None:
        """The drain's claiming phase when it is its turn; else it ends as ``busy``."""
        if self._waits:
            drain.report.ended = "busy"
        elif not await self._gets_the_place():
            drain.end("busy")  # so that its one turn only answers the ring
            await drain.claim()
        else:
            self._claiming = drain
            try:
                await drain.claim()
            finally:
                self._claiming = None
                self._place.release()

    async def _gets_the_place(self) -> bool:
        if self._claiming is not None and self._due <= time.monotonic():
            self._due = time.monotonic() + RELIEF_EACH_S
            self._claiming.end("slice")
        self._waits = True
        try:
            async with asyncio.timeout(max(self._due - time.monotonic(), 0.0)):
                return await self._place.acquire()
        except TimeoutError:
            return False
        finally:
            self._waits = False
