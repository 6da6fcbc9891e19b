"""Enqueues for a peer, in its environment: ``python -m benchmarks.peers.feed celery MESSAGES ROOMS PREFIX TEXT``."""

from __future__ import annotations

import asyncio
import sys

from benchmarks.backlog import Backlog


def celery(backlog: Backlog) -> None:
    """One ``delay`` a message."""
    from benchmarks.peers.celery_app import push  # noqa: PLC0415 - what is not asked for is not installed

    for room, text in backlog:
        push.delay(room, text)


def celery_batches(backlog: Backlog) -> None:
    """The same for its task."""
    from benchmarks.peers.celery_batches_app import push  # noqa: PLC0415 - the same

    for room, text in backlog:
        push.delay(room, text)


def taskiq(backlog: Backlog) -> None:
    """One ``kiq`` a message."""
    from benchmarks.peers.taskiq_app import broker, push  # noqa: PLC0415 - the same

    async def feed() -> None:
        await broker.startup()
        for room, text in backlog:
            await push.kiq(room, text)
        await broker.shutdown()

    asyncio.run(feed())


if __name__ == "__main__":
    name, messages, rooms, prefix, text = sys.argv[1:]
    feeds = {"celery": celery, "celery_batches": celery_batches, "taskiq": taskiq}
    feeds[name](Backlog(int(messages), int(rooms), prefix, text))
