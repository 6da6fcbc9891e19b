"""A: a backlog in 500 rooms, an API that answers at once, one worker."""

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

CASE: Final = "A"
ROOMS: Final = 500
# About three seconds each, at the speed of each.
FULL: Final = Backlog(40_000, ROOMS)
CEILING: Final = Backlog(100_000, ROOMS)
BATCHED: Final = Backlog(2_500, ROOMS // 2)  # ten a room, so that its pushes are full too
TASKS: Final = Backlog(600, ROOMS)
ASYNC_TASKS: Final = Backlog(2_000, ROOMS)


def run(bench: Bench) -> Sequence[Row]:
    """Messages a second."""
    with ExitStack() as exits:
        one = exits.enter_context(sides.pushlane(bench, concurrency=1))
        compared: dict[str, tuple[Side, Backlog]] = {
            "-c 1": (one, FULL),
            "-c 2": (exits.enter_context(sides.pushlane(bench, concurrency=2)), FULL),
            "Celery, prefork 2": (exits.enter_context(sides.celery(bench, "-c", "2")), TASKS),
            "Celery, threads 64": (exits.enter_context(sides.celery(bench, "-P", "threads", "-c", "64")), TASKS),
            "celery-batches": (exits.enter_context(sides.celery_batches(bench)), BATCHED),
            "taskiq": (exits.enter_context(sides.taskiq(bench)), ASYNC_TASKS),
            "the bare loop": (sides.Bare("loop", bench.api), FULL),
            "bare aiohttp": (sides.Bare("aiohttp", bench.api), FULL),
            "what the API can take": (sides.Bare("raw", bench.api), CEILING),
        }
        for side, _ in compared.values():
            warm(bench, side)
        results = bench.alternate(
            {name: partial(drain, bench, side, backlog) for name, (side, backlog) in compared.items()}
        )
    rates = {name: [each.messages_per_s for each in drained] for name, drained in results.items()}
    note_costs(bench, f"{ROOMS} rooms", results["-c 1"])
    bench.note("rooms/Pushlane", ROOMS, rates["-c 1"])
    bench.note("rooms/the bare loop", ROOMS, rates["the bare loop"])
    bench.note("rooms/Celery", ROOMS, rates["Celery, prefork 2"])
    asked = {
        "Celery, prefork 2": Reach(100),
        "Celery, threads 64": Reach(100),
        "celery-batches": Reach(40),
        "the bare loop": Reach(0.8),
    }
    peers = [name for name in rates if not name.startswith("-c")]
    rows = [
        Row(CASE, "500 rooms, -c 1", "messages/s", rates["-c 1"], name, rates[name], asked.get(name, Reach()))
        for name in peers
    ]
    return [*rows, Row(CASE, "500 rooms, -c 2", "messages/s", rates["-c 2"], "-c 1", rates["-c 1"], Reach(1))]
