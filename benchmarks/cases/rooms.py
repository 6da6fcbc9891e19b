"""B: 30,000 rooms of one message each: nothing to batch. Beside it, for a plot, the same backlog in fewer rooms."""

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
FEWER: Final = {rooms: Backlog(messages, rooms) for rooms, messages in {1: 3_000, 10: 10_000, 100: 10_000}.items()}


def run(bench: Bench) -> Sequence[Row]:
    """Messages a second."""
    with ExitStack() as exits:
        one = exits.enter_context(sides.pushlane(bench, concurrency=1))
        compared: dict[str, tuple[Side, Backlog]] = {
            "-c 1": (one, SINGLE),
            "-c 2": (exits.enter_context(sides.pushlane(bench, concurrency=2)), SINGLE),
            "Celery": (exits.enter_context(sides.celery(bench, "-c", "2")), TASKS),
            "the bare loop": (sides.Bare("loop", bench.api), SINGLE),
        }
        for side, _ in compared.values():
            warm(bench, side)
        compared |= {f"{rooms} rooms": (one, backlog) for rooms, backlog in FEWER.items()}
        results = bench.alternate(
            {name: partial(drain, bench, side, backlog) for name, (side, backlog) in compared.items()}
        )
    rates = {name: [each.messages_per_s for each in drained] for name, drained in results.items()}
    note_costs(bench, "a room a message", results["-c 1"])
    for rooms in FEWER:
        bench.note("rooms/Pushlane", rooms, rates[f"{rooms} rooms"])
    bench.note("rooms/Pushlane", SINGLE.rooms, rates["-c 1"])
    bench.note("rooms/the bare loop", SINGLE.rooms, rates["the bare loop"])
    bench.note("rooms/Celery", SINGLE.rooms, rates["Celery"])
    ours, work = rates["-c 1"], "a room a message, -c 1"
    return [
        Row(CASE, work, "messages/s", ours, "Celery, prefork 2", rates["Celery"], Reach(10)),
        Row(CASE, work, "messages/s", ours, "the bare loop", rates["the bare loop"], Reach(0.6)),
        Row(CASE, "a room a message, -c 2", "messages/s", rates["-c 2"], "-c 1", ours, Reach(1)),
    ]
