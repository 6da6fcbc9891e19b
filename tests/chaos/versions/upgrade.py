"""An upgrade under kills and the way back, to the verdict: all old, both, old producers alone, all new, all old again.

The steps are those of ``docs/operations.md``.
"""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Final

from chaos.storm.gather import gather
from chaos.storm.lines import read_lines
from chaos.versions.fleet import RATE, Fleet, fleet
from chaos.versions.judge import judge
from chaos.versions.snapshot import Watch, take

from pushlane.operators.actions import Operator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from chaos.storm.evidence import Evidence

KILLS_S: Final = (2.0, 4.0)
"""Between two kills."""
EMPTY_S: Final = 150.0
"""An old worker leaves a conversation alone for 60 s when it cannot read its head."""
FAULTS: Final = {"fail": {"status": 503, "rate": 0.05}, "cut": {"rate": 0.03, "accept": True}}
TICK_S: Final = 0.02


def run(folder: Path, redis_url: str, seconds: float, seed: int) -> tuple[Evidence, dict[str, Sequence[str]]]:
    """Runs it for so long, without starts and ends, keeps its evidence in the folder, and judges that."""
    with fleet(folder, redis_url, seed) as running, Operator(redis_url, by="a test") as operator:
        (folder / "storm.json").write_text(json.dumps({"on_unknown": "retry", "rate": RATE[0], "window_s": RATE[1]}))
        watch = Watch(operator)
        nemesis = Nemesis(running, watch, seed)
        for share, begin in _phases(running, nemesis):
            begin()
            nemesis.rage(seconds * share)
        running.end_producer("back")
        if nemesis.sees_it_empty():
            running.lines.write("empty")
        running.end_workers("old")
        document = take(redis_url, watch, _sequences(folder))
        (folder / "redis.json").write_text(json.dumps(document))
    evidence = gather(folder)
    return evidence, judge(evidence)


def _phases(running: Fleet, nemesis: Nemesis) -> list[tuple[float, Callable[[], None]]]:
    """Each phase's share of the time, and how it begins."""

    def all_old() -> None:
        running.start_workers("old")
        running.start_producer("old")
        running.api.control(seed=running.seed, **FAULTS)

    def both() -> None:
        running.start_workers("new")
        running.kill_and_await("old")
        running.start_producer("new")
        running.api.control(cut={"rate": 0.03, "accept": False})

    def new_workers() -> None:
        running.end_workers("old")
        running.api.control(**FAULTS)

    def all_new() -> None:
        running.end_producer("old")

    def all_old_again() -> None:
        running.end_producer("new")
        assert nemesis.sees_it_empty(), f"the new workers leave something; see {running.folder}"
        running.end_workers("new")
        running.start_workers("old")
        running.start_producer("old", "back")
        running.api.control(**FAULTS)

    return [(0.2, all_old), (0.3, both), (0.15, new_workers), (0.15, all_new), (0.2, all_old_again)]


class Nemesis:
    """Kills a worker every few seconds, while the supervisor and the watch do their work."""

    def __init__(self, running: Fleet, watch: Watch, seed: int) -> None:
        self._running = running
        self._watch = watch
        self._chance = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def rage(self, seconds: float) -> None:
        """For so long."""
        over = time.monotonic() + seconds
        strikes = self._next()
        while (now := time.monotonic()) < over:
            if now >= strikes and self._running.kill_one(self._chance):
                strikes = self._next()
            self._tick()
            time.sleep(TICK_S)

    def sees_it_empty(self) -> bool:
        """Whether the queue gets empty without any more kills, and with an API that is well."""
        self._running.api.control(fail=None, cut=None)
        over = time.monotonic() + EMPTY_S
        while time.monotonic() < over:
            if self._tick():
                return True
            time.sleep(TICK_S)
        return False

    def _tick(self) -> bool:
        """Whether the queue is empty."""
        self._running.supervise()
        overview = self._watch.look()
        return overview is not None and overview.depth == 0

    def _next(self) -> float:
        return time.monotonic() + self._chance.uniform(*KILLS_S)


def _sequences(folder: Path) -> dict[str, int]:
    """The ids in all receipts, with the number of each."""
    return {
        message_id: sequence
        for flow in folder.glob("flow-*.jsonl")
        for line in read_lines(flow)
        if line["kind"] == "receipts"
        for message_id, sequence, *_ in line["receipts"]
    }
