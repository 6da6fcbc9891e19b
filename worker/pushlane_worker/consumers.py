"""Which of Celery's queues some worker consumes: each worker notes its own while it runs.

So who asks needs no broker, and a drain that nobody would take is noticed before somebody misses its messages.
"""

from collections.abc import Callable, Collection
from typing import Any

import redis.asyncio

from pushlane.keys import CONSUMERS
from pushlane.scripts import source
from pushlane_worker.telemetry import logger

ENQUEUE_QUEUE = "pushlane.enqueue"
"""Where other Celery services enqueue by name."""
ANNOUNCED_EACH_S = 5.0
KEPT_S = 15.0


class Announcer:
    """Notes what this worker consumes.

    Args:
        client: Belongs to the loop that announces.
        consumed: The queues, which may change.
    """

    def __init__(self, client: redis.asyncio.Redis, consumed: Callable[[], Collection[str]]) -> None:
        self._script: Any = client.register_script(source("announce", "pushlane_worker"))
        self._consumed = consumed

    async def announce(self) -> None:
        """Once; counts for ``KEPT_S``."""
        await self._script(keys=[CONSUMERS], args=["", round(KEPT_S * 1000), *self._consumed()])


class Unread:
    """Reports queues that nobody consumes: an error for each channel with work, once until that has changed."""

    def __init__(self) -> None:
        self._reported: set[str] = set()
        self._enqueue_reported = False

    def look(self, channel: str, queue: str, depth: int, consumed: Collection[str]) -> None:
        """Compares a channel's queue with those that are consumed."""
        if queue in consumed:
            if channel in self._reported:
                logger().info("queue.consumed_again", channel=channel, queue=queue)
            self._reported.discard(channel)
        elif depth > 0 and channel not in self._reported:
            self._reported.add(channel)
            logger().error("queue.not_consumed", channel=channel, queue=queue, messages=depth)

    def look_at_enqueue(self, consumed: Collection[str]) -> None:
        """The same for the queue of ``pushlane.enqueue``, whose tasks nobody counts here: a warning."""
        missing = ENQUEUE_QUEUE not in consumed
        if missing and not self._enqueue_reported:
            logger().warning("queue.not_consumed", queue=ENQUEUE_QUEUE)
        self._enqueue_reported = missing
