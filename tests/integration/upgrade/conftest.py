"""One channel, with the previous release and this tree on it."""

import pytest
from redis import Redis
from support.previous_release import OldQueue
from support.queue import Queue


@pytest.fixture
def queue(redis: Redis) -> Queue:
    """The channel, and this tree on it."""
    return Queue(redis)


@pytest.fixture
def old(queue: Queue) -> OldQueue:
    """The previous release on it."""
    return OldQueue(queue)


@pytest.fixture
def releases(queue: Queue, old: OldQueue) -> dict[str, Queue | OldQueue]:
    """Both, for a test that has either do something."""
    return {"old": old, "new": queue}
