"""D: one, two and four workers, each with 16 pushes in flight to an API that takes 100 ms."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks import sides
from benchmarks.backlog import Backlog
from benchmarks.drain import drain, warm
from benchmarks.table import Reach, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench

CASE: Final = "D"
IN_FLIGHT: Final = 16
LATENCY_S: Final = 0.1
EACH: Final = 8_000
"""Messages a worker: five seconds, beside which it is little that stopped workers do not all wake at once."""


def run(bench: Bench) -> Sequence[Row]:
    """Pushes a second."""
    with ExitStack() as exits:
        runs = {}
        for workers in (1, 2, 4):
            side = exits.enter_context(sides.pushlane(bench, workers=workers, in_flight=IN_FLIGHT))
            warm(bench, side)
            backlog = Backlog(EACH * workers, EACH * workers // 40)
            runs[workers] = partial(drain, bench, side, backlog, latency_s=LATENCY_S)
        rates = {workers: [each.pushes_per_s for each in drained] for workers, drained in bench.alternate(runs).items()}
    ideal = IN_FLIGHT / LATENCY_S
    for workers, each in rates.items():
        bench.note("workers/Pushlane", workers, each)
        bench.note("workers/ideal", workers, [workers * ideal])
    bench.note("in flight/Pushlane", IN_FLIGHT, rates[1])
    bench.note("in flight/ideal", IN_FLIGHT, [ideal])
    return [
        Row(CASE, "100 ms, 16 in flight, 1 worker", "pushes/s", rates[1], "ideal", [ideal]),
        Row(CASE, "2 workers", "pushes/s", rates[2], "1 worker", rates[1]),
        Row(CASE, "4 workers", "pushes/s", rates[4], "1 worker", rates[1], Reach(3.8)),
    ]
