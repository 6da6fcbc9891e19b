"""Ends tasks that would run for ever."""

from __future__ import annotations

import asyncio
from typing import Final

AGAIN_S: Final = 0.2


async def cancel_and_wait(*tasks: asyncio.Task[None]) -> None:
    """Cancels the tasks until each has ended, and swallows what they raise.

    Once is not enough: redis-py sends in ``asyncio.wait_for``, which in Python 3.11 swallows a cancellation that
    arrives just as it ends.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)
