"""The queue against its model: random walks over everything that can happen, on a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from support.queue_machine import walk

if TYPE_CHECKING:
    from redis import Redis

WALKS = settings(max_examples=60, stateful_step_count=50, database=None, print_blob=True)


@pytest.mark.first
def test_the_queue_keeps_its_promises_on_any_walk(redis: Redis) -> None:
    """Conservation, order, one place a conversation, bounded duplicates, no forgotten room, exact counters."""
    walk(redis, WALKS)
