"""A few threads for work that blocks, so that the event loop, and moderation on it, never waits."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE: Final = 4
"""Threads of one pool. More would take the interpreter from the event loop for longer."""
TURN_S: Final = 1.0
"""How long work waits for a free thread."""
P = ParamSpec("P")
T = TypeVar("T")


class AllBusy(Exception):
    """No thread became free in time; nothing was done."""


class Threads:
    """A pool of threads. Belongs to one event loop."""

    def __init__(self, name: str, at_once: int = AT_ONCE) -> None:
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix=name)
        self._free = asyncio.Semaphore(at_once)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the work returns, or raises. Raises AllBusy if no thread is free in time."""
        try:
            async with asyncio.timeout(TURN_S):
                await self._free.acquire()
        except TimeoutError:
            raise AllBusy from None
        future = asyncio.wrap_future(self._pool.submit(work, *args, **kwargs))
        # The thread is not free before its work is done, also if the browser has left meanwhile.
        future.add_done_callback(lambda _: self._free.release())
        return await asyncio.shield(future)

    def close(self) -> None:
        """Starts nothing more, and does not wait for what is running."""
        self._pool.shutdown(wait=False, cancel_futures=True)
