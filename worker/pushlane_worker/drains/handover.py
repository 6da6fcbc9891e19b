"""Decides who claims for a channel in this process: one drain at a time, until the next one takes over.

::

    a ring's drain ──no one claims, or the last takeover is a second ago──▶ claims, instead of the one before
                   ──else──▶ waits ──the one before has left──▶ claims
                                   ──the second is over──▶ answers its ring, and so rings again
                   ──one waits already──▶ done: that one answers its ring, too

The drain of a full process does not occupy its Celery process, which may then get a ring that another process has
slots for. So it passes the ring on: a drain's first turn answers it, and if there is more to claim, it rings again. It
does so at once, but only once per second, or full processes would pass one ring around without end.

Celery gives a task to the first idle process. So while the task of a drain that takes over occupies this process, its
ring goes to another one; the ring of a drain that has waited without its task comes back here first.
"""

import asyncio
import time
from dataclasses import dataclass, field

from pushlane_worker.drains.drain import Drain

TAKEOVER_EACH_S = 1.0
"""How long an unanswered ring is valid (``lua/lib_wake.lua``): a full process keeps a ring no longer than that."""


@dataclass(slots=True, eq=False)
class Handover:
    """The drains of one channel in the loop of one process."""

    _claiming: Drain | None = None
    _waits: bool = False
    _due: float = 0.0
    """The earliest monotonic time of the next takeover."""
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def claim(self, drain: Drain) -> None:
        """Runs the drain's claiming phase if it may; otherwise it ends as ``busy``."""
        if self._waits:
            drain.report.ended = "busy"
        elif not await self._takes_over():
            drain.end("busy")  # so that its one turn only answers the ring
            await drain.claim()
        else:
            self._claiming = drain
            try:
                await drain.claim()
            finally:
                self._claiming = None
                self._lock.release()

    async def _takes_over(self) -> bool:
        if self._claiming is not None and self._due <= time.monotonic():
            self._due = time.monotonic() + TAKEOVER_EACH_S
            self._claiming.end("slice")
        self._waits = True
        try:
            async with asyncio.timeout(max(self._due - time.monotonic(), 0.0)):
                return await self._lock.acquire()
        except TimeoutError:
            return False
        finally:
            self._waits = False
