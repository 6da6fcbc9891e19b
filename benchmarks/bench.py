"""What the cases share."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, TypeVar

from benchmarks.api_client import ApiClient, chat_api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

K = TypeVar("K")
T = TypeVar("T")


@dataclass
class Bench:
    """A run of the benchmark."""

    api: ApiClient
    folder: Path
    """For the workers' logs."""
    program: str
    """The Redis server."""
    rounds: int = 5
    full: bool = False
    """Whether cases that have a smaller size by default run with the size of the table."""
    series: defaultdict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    """Figures for the plots: by plot and point."""
    _prefixes: Iterator[int] = field(default_factory=itertools.count)

    def new_prefix(self) -> str:
        """Names for rooms that have had no message yet."""
        return f"run{next(self._prefixes)}"

    def note(self, plot: str, point: object, values: Sequence[float]) -> None:
        """Keeps a point for the plots: the median of these."""
        self.series[plot][str(point)] = median(values)

    def alternate(self, runs: Mapping[K, Callable[[], T]], times: int = 1) -> Mapping[K, Sequence[T]]:
        """Runs each of them once a round: ours, peer, ours, peer, so that a slow minute of the machine hits all.

        ``times`` as many rounds as usual are for short runs, which vary more.
        """
        results: dict[K, list[T]] = {name: [] for name in runs}
        for round_ in range(self.rounds * times):
            for name, run in runs.items():
                started = time.monotonic()
                results[name].append(run())
                took = time.monotonic() - started
                print(f"  round {round_ + 1}: {name}: {took:.1f} s", file=sys.stderr)
        return results


@contextlib.contextmanager
def bench(program: str, rounds: int, *, full: bool) -> Iterator[Bench]:
    """Starts what all cases need. The folder with the logs is kept if a case fails."""
    folder = Path(tempfile.mkdtemp(prefix="pushlane-bench-"))
    try:
        with chat_api() as api:
            yield Bench(api, folder, program, rounds, full)
    except BaseException:
        print(f"the logs are in {folder}", file=sys.stderr)
        raise
    shutil.rmtree(folder)
