"""The cases, by the letters of the table in docs/performance.md. Each has a module with a ``run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.cases import backlog, idle, send, send_many, single_rooms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.bench import Bench
    from benchmarks.table import Row


class Case(NamedTuple):
    """One case."""

    title: str
    run: Callable[[Bench], Sequence[Row]]


CASES: Final[Mapping[str, Case]] = {
    "A": Case("a backlog in 500 rooms, instant API, one worker", backlog.run),
    "B": Case("30,000 rooms of one message", single_rooms.run),
    "E": Case("send, one message a call", send.run),
    "F": Case("send_many of 100", send_many.run),
    "G": Case("an idle channel, a message each 50 ms; an idle worker", idle.run),
}
