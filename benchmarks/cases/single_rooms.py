"""B: 30,000 rooms of one message each: nothing to batch."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks import sides
from benchmarks.backlog import Backlog
from benchmarks.drain import drain, note_costs, warm
from benchmarks.table import Reach, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench
    from benchmarks.sides import Side

CASE: Final = "B"
SINGLE: Final = Backlog(6_000, 6_000)
"""In five rounds 30,000 rooms."""
TASKS: Final = Backlog(600, 600)


def run(bench: Bench) -> Sequence[Row]:
    """Messages a second."""
    with ExitStack() as exits:
        compared: dict[str, tuple[Side, Backlog]] = {
            "-c 1": (exits.enter_context(sides.pushlane(bench, concurrency=1)), SINGLE),
            "-c 2": (exits.enter_context(sides.pushlane(bench, concurrency=2)), SINGLE),
            "Celery, prefork 2": (exits.enter_context(sides.celery(bench, "-c", "2")), TASKS),
            "the bare loop": (sides.Bare("loop", bench.api), SINGLE),
        }
        for side, _ in compared.values():
            warm(bench, side)
        results = bench.alternate(
            {name: partial(drain, bench, side, backlog) for name, (side, backlog) in compared.items()}
        )
    rates = {name: [each.messages_per_s for each in drained] for name, drained in results.items()}
    note_costs(bench, "a room a message", results["-c 1"])
    ours, work = rates["-c 1"], "a room a message, -c 1"
    return [
        Row(CASE, work, "messages/s", ours, "Celery, prefork 2", rates["Celery, prefork 2"], Reach(10)),
        Row(CASE, work, "messages/s", ours, "the bare loop", rates["the bare loop"], Reach(0.6)),
        Row(CASE, "a room a message, -c 2", "messages/s", rates["-c 2"], "-c 1", ours, Reach(1)),
    ]
