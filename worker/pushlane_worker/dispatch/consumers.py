"""Which Celery queues are consumed: each worker announces its own while it runs.

So reading them needs no broker, and a queue without a consumer is noticed before its messages are missed.
"""

from collections.abc import Collection

import redis.asyncio

from pushlane.keys import CONSUMERS, WORKERS
from pushlane.scripts import Script
from pushlane_worker.queue.store import WORKER
from pushlane_worker.telemetry import logger

ENQUEUE_QUEUE = "pushlane.enqueue"
"""Where other Celery services enqueue by name."""
ANNOUNCED_EACH_S = 5.0
KEPT_S = 15.0
_ANNOUNCE = Script("announce", WORKER)


async def announce(client: redis.asyncio.Redis, worker: str, queues: Collection[str]) -> None:
    """Announces that this worker, by a random id, consumes these queues; valid for ``KEPT_S``."""
    kept_ms = round(KEPT_S * 1000)
    await _ANNOUNCE.call_async(client, CONSUMERS, "", kept_ms, *queues)
    await _ANNOUNCE.call_async(client, WORKERS, "", kept_ms, f"{worker} {','.join(sorted(queues))}")


class UnconsumedQueues:
    """Logs queues without a consumer: one error for each channel with messages, until that changes."""

    def __init__(self) -> None:
        self._reported: set[str] = set()
        self._enqueue_reported = False

    def look(self, channel: str, queue: str, depth: int, consumed: Collection[str]) -> None:
        """Checks whether a channel's queue is consumed."""
        if queue in consumed:
            if channel in self._reported:
                logger().info("queue.consumed_again", channel=channel, queue=queue)
            self._reported.discard(channel)
        elif depth > 0 and channel not in self._reported:
            self._reported.add(channel)
            logger().error("queue.not_consumed", channel=channel, queue=queue, messages=depth)

    def look_at_enqueue(self, consumed: Collection[str]) -> None:
        """The same for the queue of ``pushlane.enqueue``: a warning, because its tasks are not counted here."""
        missing = ENQUEUE_QUEUE not in consumed
        if missing and not self._enqueue_reported:
            logger().warning("queue.not_consumed", queue=ENQUEUE_QUEUE)
        self._enqueue_reported = missing
