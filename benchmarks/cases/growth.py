"""I: what a message costs when many wait: 10,000 in 100 rooms, beside 3,000,000 in 100,000 rooms."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from support.waiting import wait_until

from benchmarks import sides
from benchmarks.backlog import Backlog
from benchmarks.drain import drain, note_costs, warm
from benchmarks.sides import CHANNEL, Pushlane
from benchmarks.table import Reach, Row
from pushlane.operators.actions import Operator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench

CASE: Final = "I"
SMALL: Final = Backlog(10_000, 100)
LARGE: Final = Backlog(300_000, 10_000, "large")
FULL: Final = Backlog(3_000_000, 100_000, "large")
REACH: Final = Reach(None, 1.25)


class Standing(Pushlane):
    """One in which so much waits that a run pauses the channel at its end, instead of waiting until all is pushed."""

    def go(self) -> None:
        """Resumes the channel."""
        with Operator(self.server.url, by="a test") as operator:
            operator.resume(CHANNEL)
        super().go()

    def stop(self) -> None:
        """Pauses it, once what is in flight is settled."""
        with Operator(self.server.url, by="a test") as operator:
            operator.pause(CHANNEL)
            wait_until(lambda: (state := operator.overview(CHANNEL)) and not state.leased, "everything to be settled")
        self.workers.freeze()


def run(bench: Bench) -> Sequence[Row]:
    """Microseconds a message, by the clock: to enqueue 10,000 more, and until 10,000 have arrived."""
    large = FULL if bench.full else LARGE
    with ExitStack() as exits:
        small, many = (exits.enter_context(sides.pushlane(bench)) for _ in range(2))
        for side in (small, many):
            warm(bench, side)
        standing = Standing(many.server, many.workers)
        standing.stop()
        standing.fill(large)
        results = bench.alternate(
            {
                "small": partial(drain, bench, small, SMALL),
                "large": partial(drain, bench, standing, SMALL),
            }
        )
    where, beside = f"{large.messages:,} in {large.rooms:,} rooms", "10,000 in 100 rooms"
    note_costs(bench, where, results["large"])
    note_costs(bench, beside, results["small"])
    enqueue = {size: [1e6 / each.enqueued_per_s for each in drained] for size, drained in results.items()}
    arrive = {size: [1e6 / each.messages_per_s for each in drained] for size, drained in results.items()}
    return [
        Row(CASE, f"enqueue, {where}", "µs a message", enqueue["large"], beside, enqueue["small"], REACH),
        Row(CASE, f"drain, {where}", "µs a message", arrive["large"], beside, arrive["small"], REACH),
    ]
