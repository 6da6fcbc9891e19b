"""Whether a part of the storm itself stood still: on a busy machine or disk it may, and what it saw then came late."""

import asyncio
from typing import Final

from chaos.storm.lines import Lines

EACH_S: Final = 0.1
LATE_S: Final = 0.3


async def watch(lines: Lines) -> None:
    """Writes down each time for which this event loop did nothing."""
    loop = asyncio.get_running_loop()
    while True:
        before = loop.time()
        await asyncio.sleep(EACH_S)
        if (late_s := loop.time() - before - EACH_S) > LATE_S:
            lines.write("stood_still", late_s=late_s)
