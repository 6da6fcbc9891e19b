"""Answers scrapes: however many there are, Redis is read once a second, by one thread."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from pushlane.metrics.exposition import expose
from pushlane.metrics.families import families
from pushlane.metrics.reading import Fleet, Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushlane.metrics.families import SpoolSize

KEPT_S: Final = 1.0
"""How long a text is the answer."""
ANSWER_S: Final = 8.0
"""How long a scrape waits for Redis. Prometheus waits 10 s for an answer."""


class Scrape:
    """The text of this process. Belongs to one event loop, which it never blocks.

    Attributes:
        spool: Says how much is in the spool of this process; None without one.
    """

    def __init__(self, redis_url: str) -> None:
        self.spool: Callable[[], SpoolSize] | None = None
        self._reader = Reader(redis_url)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="metrics")
        self._reading: asyncio.Future[bytes] | None = None
        self._read_at = 0.0

    async def text(self) -> bytes:
        """All metrics. While Redis does not answer, those of the process alone."""
        if self._reading is None or (self._reading.done() and time.monotonic() - self._read_at > KEPT_S):
            self._reading = asyncio.get_running_loop().run_in_executor(self._thread, self._read)
        await asyncio.wait([self._reading], timeout=ANSWER_S)
        return self._reading.result() if self._reading.done() else self._expose(Fleet())

    def close(self) -> None:
        """Reads no more, and does not wait for what is being read."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._reader.close()

    def _read(self) -> bytes:
        text = self._expose(self._reader.read())
        self._read_at = time.monotonic()
        return text

    def _expose(self, fleet: Fleet) -> bytes:
        return expose(families(fleet, self.spool() if self.spool else None))
