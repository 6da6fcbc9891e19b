"""Queues with held messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.queue import Queue, settle

if TYPE_CHECKING:
    from redis import Redis

HOLD_MS = 60_000
DEAD_LETTER = f"d{HOLD_MS}:k"
RELEASE = f"r{HOLD_MS}:k"
HELD = "held: its head waits for a decision"


def held_room(redis: Redis, hold: str = DEAD_LETTER) -> Queue:
    """Room `a`: `h`, which waits for a decision on `k`, and `a1` behind it."""
    queue = Queue(redis)
    queue.enqueue("a", "h", hold=hold)
    queue.enqueue("a", "a1", address=b"other")
    return queue


def drained(queue: Queue) -> list[str]:
    """Drains the queue; the ids that it pushed."""
    turn, names = queue.turn(), list[str]()
    while turn.claims or turn.wait_ms == 0:
        names += [name for batch in turn.batches for name in batch.split()]
        turn = queue.turn(*map(settle, turn.claims))
    return names


def end_of(queue: Queue, name: str) -> tuple[str, str | None]:
    """Its state, and the reason of it."""
    header = queue.header(name)
    return header.state, header.reason


def assert_at_rest(queue: Queue) -> None:
    """Everything is where it belongs, with nothing left in the room `a`."""
    assert (queue.places("a"), queue.waiting("a"), queue.blocked()) == ([], "", {})
    queue.assert_counters()
