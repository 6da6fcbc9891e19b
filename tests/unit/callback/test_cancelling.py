"""Tasks that end when they should, whatever becomes of a cancellation."""

import asyncio
import contextlib

from pushlane.callback.cancelling import cancel_and_wait


async def _swallows_the_first() -> None:
    for _ in range(2):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


async def _fails() -> None:
    raise ValueError("of itself")


async def test_a_task_that_swallows_a_cancellation_ends() -> None:
    """Others that ended, or failed, beside it are no hindrance."""
    tasks = [asyncio.create_task(_swallows_the_first()), asyncio.create_task(_fails())]
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await cancel_and_wait(*tasks)
    assert all(task.done() for task in tasks)
