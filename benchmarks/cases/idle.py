"""G: an idle channel, in which a message comes each 50 ms; and what a worker costs that has nothing to do."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks import processes, sides
from benchmarks.drain import warm
from benchmarks.producers import celerys, ours
from benchmarks.table import Reach, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.bench import Bench
    from benchmarks.sides import Peer, Pushlane

CASE: Final = "G"
MESSAGES: Final = 120
FIRST: Final = 20
"""Of a second in which a side that was stopped finds its feet; they do not count."""
IDLE_S: Final = 5.0
P99_MS: Final = 15.0


class Delays(NamedTuple):
    """How long messages took, in ms."""

    p50: float
    p99: float


def run(bench: Bench) -> Sequence[Row]:
    """From ``send`` to the arrival at the API; then the processor time of idle workers."""
    with ExitStack() as exits:
        pushlane = exits.enter_context(sides.pushlane(bench, concurrency=2))
        celery = exits.enter_context(sides.celery(bench, "-c", "2"))
        for side in (pushlane, celery):
            warm(bench, side)
        delays = bench.alternate(
            {
                "Pushlane": lambda: _delays(bench, pushlane, ours),
                "Celery": lambda: _delays(bench, celery, celerys),
            }
        )
        cpu = bench.alternate(
            {
                "Pushlane, idle": lambda: _idle_cpu(pushlane),
                "Celery, idle": lambda: _idle_cpu(celery),
            }
        )
    mine, theirs = delays["Pushlane"], delays["Celery"]
    for name, each in delays.items():
        bench.note("delay/p50", name, [one.p50 for one in each])
        bench.note("delay/p99", name, [one.p99 for one in each])
    return [
        Row(CASE, "p50 to arrival", "ms", [d.p50 for d in mine], "Celery", [d.p50 for d in theirs], Reach(None, 0.8)),
        Row(CASE, "p99 to arrival", "ms", [d.p99 for d in mine], "Celery", [d.p99 for d in theirs]),
        Row(CASE, "p99 to arrival", "ms", [d.p99 for d in mine], "15 ms", [P99_MS], Reach(None, 1)),
        Row(
            CASE,
            "CPU, idle",
            "%",
            cpu["Pushlane, idle"],
            "Celery + 1 %",
            [c + 1 for c in cpu["Celery, idle"]],
            Reach(None, 1),
        ),
    ]


def _delays(bench: Bench, side: Pushlane | Peer, paced: Callable[[str, str, str], str]) -> Delays:
    bench.api.reset(timed=True)
    side.go()
    paced(side.server.url, "paced", str(FIRST + MESSAGES))
    delays = sorted(bench.api.when(FIRST + MESSAGES).delays_ms[FIRST:])
    side.stop()
    return Delays(delays[len(delays) // 2], delays[int(len(delays) * 0.99)])


def _idle_cpu(side: Pushlane | Peer) -> float:
    """Per cent of a core (Linux), of all processes of the worker."""
    side.go()
    time.sleep(1)
    before = processes.cpu_s(side.workers.groups[0])
    time.sleep(IDLE_S)
    used = processes.cpu_s(side.workers.groups[0]) - before
    side.stop()
    return used / IDLE_S * 100
