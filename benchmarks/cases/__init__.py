"""The cases, by the letters of the table in docs/performance.md. Each has a module with a ``run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.cases import (
    backlog,
    growth,
    idle,
    latency,
    memory,
    pace,
    rooms,
    send,
    send_many,
    worker_memory,
    workers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.bench import Bench
    from benchmarks.table import Row


class Case(NamedTuple):
    """One case."""

    title: str
    run: Callable[[Bench], Sequence[Row]]


CASES: Final[Mapping[str, Case]] = {
    "A": Case("a backlog in 500 rooms, an API that answers at once, one worker", backlog.run),
    "B": Case("30,000 rooms of one message", rooms.run),
    "C": Case("an API that takes 100 ms, 64 and 256 pushes in flight", latency.run),
    "D": Case("1, 2 and 4 workers, 100 ms, 16 in flight each", workers.run),
    "E": Case("`send`, one message a call", send.run),
    "F": Case("`send_many` of 100", send_many.run),
    "G": Case("an idle channel, a message each 50 ms, to arrival; an idle worker", idle.run),
    "H": Case("500/60s with a backlog, two workers", pace.run),
    "I": Case("growth from 10,000 messages in 100 rooms to 3,000,000 in 100,000", growth.run),
    "J": Case("memory in Redis of a message of 100 bytes: queued, and after its delivery", memory.run),
    "K": Case("memory of a worker over 2,000,000 messages", worker_memory.run),
}
