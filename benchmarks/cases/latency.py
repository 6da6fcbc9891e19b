"""C: an API that takes 100 ms, with 64 and 256 pushes in flight."""

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
    from benchmarks.sides import Side

CASE: Final = "C"
LATENCY_S: Final = 0.1
BACKLOGS: Final = {64: Backlog(25_600, 640), 256: Backlog(51_200, 2_560)}


def run(bench: Bench) -> Sequence[Row]:
    """Pushes a second; the ideal is as many as are in flight, ten times a second."""
    with ExitStack() as exits:
        runs = {}
        for in_flight, backlog in BACKLOGS.items():
            compared: dict[str, Side] = {
                "Pushlane": exits.enter_context(sides.pushlane(bench, in_flight=in_flight)),
                "the bare loop": sides.Bare("loop", bench.api, in_flight),
            }
            for name, side in compared.items():
                warm(bench, side)
                runs[name, in_flight] = partial(drain, bench, side, backlog, latency_s=LATENCY_S)
        results = bench.alternate(runs)
    rates = {key: [each.pushes_per_s for each in drained] for key, drained in results.items()}
    for (name, in_flight), each in rates.items():
        bench.note(f"in flight/{name}", in_flight, each)
    ideals = {in_flight: in_flight / LATENCY_S for in_flight in BACKLOGS}
    for in_flight, ideal in ideals.items():
        bench.note("in flight/ideal", in_flight, [ideal])
    possible = [min(ideals[256], rate) for rate in rates["the bare loop", 256]]
    few, many = rates["Pushlane", 64], rates["Pushlane", 256]
    return [
        Row(CASE, "100 ms, 64 in flight", "pushes/s", few, "ideal", [ideals[64]], Reach(0.95)),
        Row(CASE, "100 ms, 256 in flight", "pushes/s", many, "ideal, or the bare loop", possible, Reach(0.9)),
    ]
