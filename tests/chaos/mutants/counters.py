"""What is counted for the metrics."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from chaos.mutants.mutant import Mutant
from integration.operators import test_overview
from support.queue import Queue

from pushlane.operators.inspection import Inspector

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis


def _told(test: Callable[[Queue, Inspector], None], redis: Redis) -> None:
    where = redis.connection_pool.connection_kwargs
    with Inspector(f"redis://{where['host']}:{where['port']}/{where['db']}") as inspector:
        test(Queue(redis), inspector)


MEASURED = partial(_told, test_overview.test_pushes_are_measured_once_their_end_is_known)
DEATHS = partial(_told, test_overview.test_what_expires_or_is_forbidden_or_skipped_counts_too)
THROUGHPUT = partial(_told, test_overview.test_the_throughput_is_that_of_each_of_the_last_60_minutes)

_UNKNOWN_END = "if settled.lost or settled.outcome == UNSENT then"
_SIZE = "(sizes[size] or 0) + 1"
_TIME = "took_ms + settled.took"
_BUCKET = "within[i] = (within[i] or 0) + 1\n"
COUNTERS = (
    Mutant("a measured push has no size", _SIZE, "0", MEASURED),
    Mutant("of pushes of one size in a turn one is measured", _SIZE, "1", MEASURED),
    Mutant("a measured push adds no time", _TIME, "took_ms", MEASURED),
    Mutant("of a turn's pushes the last one's time is measured", _TIME, "settled.took", MEASURED),
    Mutant("of pushes in one bucket in a turn one is measured", _BUCKET, "within[i] = 1\n", MEASURED),
    Mutant("a measured push is in the next bucket", "settled.took <= TOOK", "settled.took < TOOK", MEASURED),
    Mutant("a measured push is in all buckets", _BUCKET + "        return\n", _BUCKET, MEASURED),
    Mutant("what was given back is measured", _UNKNOWN_END, "if settled.lost then", MEASURED),
    Mutant("what was lost is measured", _UNKNOWN_END, "if settled.outcome == UNSENT then", MEASURED),
    Mutant("deaths are counted under one reason", "count('dead_' .. reason, 1)", "count('dead_a', 1)", DEATHS),
    Mutant("deaths are not counted", "  count('dead_' .. reason, 1)\n", ""),
    Mutant(
        "the throughput counts turns",
        "note_delivered(prefix, now, counted.delivered)",
        "note_delivered(prefix, now, 1)",
        THROUGHPUT,
    ),
    Mutant("the throughput has one minute", "minute % MINUTES\n", "0\n", THROUGHPUT),
)
