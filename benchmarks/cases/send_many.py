"""F: ``send_many`` of 100 beside Celery's ``send_task`` and the fastest that kombu can publish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.producers import producers
from benchmarks.table import Reach, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench

CASE: Final = "F"


def run(bench: Bench) -> Sequence[Row]:
    """Messages a second of one thread, without a worker."""
    with producers(bench) as each:
        rates = bench.alternate(
            {
                "send_many": lambda: each.ours("send_many"),
                "Celery's send_task": lambda: each.celerys("send_task"),
                "kombu, 100 in a pipeline": lambda: each.celerys("publish_many"),
            },
            times=2,
        )
    ours, reaches = rates["send_many"], {"Celery's send_task": Reach(30), "kombu, 100 in a pipeline": Reach(2)}
    return [Row(CASE, "send_many of 100", "messages/s", ours, name, rates[name], at) for name, at in reaches.items()]
