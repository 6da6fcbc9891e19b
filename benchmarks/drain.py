"""One run: a backlog, and how fast it reaches the chat API."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from benchmarks.backlog import Backlog
from benchmarks.sides import Pushlane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench
    from benchmarks.sides import Side

WARM: Final = Backlog(200, 20, "warm")


@dataclass(frozen=True, slots=True)
class Drained:
    """What one run came to; the costs are of Pushlane alone."""

    messages_per_s: float
    pushes_per_s: float
    messages_per_push: float
    enqueued_per_s: float = 0.0
    enqueue_us: float = 0.0
    """Redis's processor time a message."""
    drain_us: float = 0.0


def warm(bench: Bench, side: Side) -> None:
    """Lets a side that has just been started push a little, so that its workers are up and connected; then stops it."""
    bench.api.reset()  # first: the workers of a side that has just been started run
    side.fill(WARM)
    side.go()
    bench.api.when(WARM.messages, 60)
    side.stop()


def drain(bench: Bench, side: Side, backlog: Backlog, *, latency_s: float = 0.0) -> Drained:
    """Enqueues the backlog while the side is stopped, then lets it run until everything has arrived."""
    bench.api.reset(latency_s=latency_s)
    fresh = replace(backlog, prefix=bench.new_prefix())
    started, cpu = time.monotonic(), _cpu_s(side)
    side.fill(fresh)
    filled, cpu_filled = time.monotonic(), _cpu_s(side)
    side.go()
    counts = bench.api.when(backlog.messages)
    side.stop()
    pushed = bench.api.when(0).messages
    return Drained(
        counts.messages / counts.seconds,
        counts.pushes / counts.seconds,
        counts.messages / counts.pushes,
        backlog.messages / (filled - started),
        (cpu_filled - cpu) / backlog.messages * 1e6,
        (_cpu_s(side) - cpu_filled) / pushed * 1e6,
    )


def note_costs(bench: Bench, where: str, drained: Sequence[Drained]) -> None:
    """Keeps Redis's processor time a message for the plots."""
    bench.note("redis/enqueue", where, [each.enqueue_us for each in drained])
    bench.note("redis/drain", where, [each.drain_us for each in drained])


def _cpu_s(side: Side) -> float:
    return side.server.cpu_s() if isinstance(side, Pushlane) else 0.0
