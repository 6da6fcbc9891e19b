"""J: the memory in Redis of a queued message of 100 bytes, and what is left of it after its delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks import sides
from benchmarks.backlog import Backlog
from benchmarks.drain import warm
from benchmarks.sides import CALL, CHANNEL
from benchmarks.table import Reach, Row
from pushlane import Producer, RoomMessage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench
    from benchmarks.sides import Pushlane

CASE: Final = "J"
BACKLOG: Final = Backlog(500_000, 25_000, text="x" * 100)
"""As many as a busy channel delivers in a day: tombstones of a few messages have nobody to share the cost of a hash."""
TASKS: Final = Backlog(10_000, 500, text="x" * 100)
QUEUED_BYTES: Final = 330
DELIVERED_BYTES: Final = 120


def run(bench: Bench) -> Sequence[Row]:
    """Bytes a message. Memory does not vary from run to run, so that each is measured once."""
    rows = []
    for key in (None, "order"):
        queued, delivered = _measure(bench, key)
        work = f"{'with' if key else 'without'} idempotency key"
        rows += [
            Row(CASE, f"queued, {work}", "bytes", [queued], "asked", [QUEUED_BYTES], Reach(None, 1)),
            Row(CASE, f"delivered, {work}", "bytes", [delivered], "asked", [DELIVERED_BYTES], Reach(None, 1)),
        ]
    return [*rows, Row(CASE, "queued", "bytes", rows[0].ours, "Celery's task", [_celery(bench)])]


def _measure(bench: Bench, key: str | None) -> tuple[float, float]:
    with sides.pushlane(bench) as side:
        warm(bench, side)
        before = side.server.memory()
        _enqueue(side, key)
        queued = side.server.memory()
        bench.api.reset()
        side.go()
        bench.api.when(BACKLOG.messages)
        side.stop()
        return (queued - before) / BACKLOG.messages, (side.server.memory() - before) / BACKLOG.messages


def _enqueue(side: Pushlane, key: str | None) -> None:
    messages = [RoomMessage(room, text) for room, text in BACKLOG]
    with Producer(side.server.url) as producer:
        for start in range(0, len(messages), CALL):
            call_key = f"{key}/{start}" if key else None
            producer.send_many(CHANNEL, messages[start : start + CALL], idempotency_key=call_key)


def _celery(bench: Bench) -> float:
    with sides.celery(bench, "-c", "2") as side:
        warm(bench, side)
        before = side.server.memory()
        side.fill(TASKS)
        return (side.server.memory() - before) / TASKS.messages
