"""E: ``send`` beside a script of one line and beside Celery's ``send_task``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.producers import producers
from benchmarks.table import Reach, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench

CASE: Final = "E"


def run(bench: Bench) -> Sequence[Row]:
    """Calls a second of one thread, without a worker."""
    with producers(bench) as each:
        rates = bench.alternate(
            {
                "send": lambda: each.ours("send"),
                "a one-line EVALSHA": lambda: each.ours("evalsha"),
                "Celery's send_task": lambda: each.celerys("send_task"),
            },
            times=2,
        )
    reaches = {"a one-line EVALSHA": Reach(0.7), "Celery's send_task": Reach(5)}
    return [Row(CASE, "send", "calls/s", rates["send"], name, rates[name], reach) for name, reach in reaches.items()]
