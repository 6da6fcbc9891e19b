"""K: the memory of a worker over 2,000,000 messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks import processes, sides
from benchmarks.backlog import Backlog
from benchmarks.drain import warm
from benchmarks.table import Reach, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench

CASE: Final = "K"
CHUNK: Final = 20_000
SETTLED: Final = 200_000
"""After so many messages the memory should no longer grow."""
USUAL: Final = 600_000
FULL: Final = 2_000_000


def run(bench: Bench) -> Sequence[Row]:
    """MiB of resident memory, of all processes of one worker; measured once."""
    messages = FULL if bench.full else USUAL
    resident: dict[int, float] = {}
    with sides.pushlane(bench) as side:
        warm(bench, side)
        bench.api.reset()
        side.go()
        for sent in range(CHUNK, messages + 1, CHUNK):
            side.fill(Backlog(CHUNK, 500))
            bench.api.when(sent - CHUNK)  # one chunk waits while the next one is enqueued
            resident[sent] = processes.resident_mib(side.workers.groups[0])
    after = [mib for sent, mib in resident.items() if sent > messages - SETTLED // 2]
    before = [mib for sent, mib in resident.items() if SETTLED - SETTLED // 2 < sent <= SETTLED]
    work = f"worker after {messages:,} messages"
    return [Row(CASE, work, "MiB", after, f"after {SETTLED:,}", before, Reach(None, 1.05))]
