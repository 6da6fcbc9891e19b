"""H: a backlog under CINNOX's rate limit of 500 pushes a minute, two workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks import sides
from benchmarks.backlog import BATCH, Backlog
from benchmarks.table import Reach, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench

CASE: Final = "H"
PUSHES: Final = 500
WINDOW_S: Final = 60
WINDOWS: Final = 2
LATENCY_S: Final = 0.02


def run(bench: Bench) -> Sequence[Row]:
    """One run, since it takes two windows: the budget allows the push number 1,001 exactly 120 s after the first."""
    after = PUSHES * WINDOWS
    with sides.pushlane(bench, workers=2, rate_limit=f"{PUSHES}/{WINDOW_S}s") as side:
        side.workers.freeze()
        bench.api.reset(latency_s=LATENCY_S, rate_limit=PUSHES, window_s=WINDOW_S)
        side.fill(Backlog(after * BATCH * 2, 500, bench.new_prefix()))
        side.go()
        counts = bench.api.when((after + 1) * BATCH)
    took = counts.push_times[after] - counts.push_times[0]
    return [
        Row(CASE, "500/60s, share of the budget", "", [WINDOW_S * WINDOWS / took], "all of it", [1], Reach(0.99)),
        Row(CASE, "429 answers", "", [counts.throttled], "pushes", [counts.pushes], Reach(None, 0)),
        Row(CASE, "messages a push", "", [counts.messages / counts.pushes], "the most", [BATCH], Reach(0.99)),
    ]
