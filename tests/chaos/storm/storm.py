"""A storm from its start to its verdict."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from chaos.storm import plan, sabotage, snapshot
from chaos.storm.gather import gather
from chaos.storm.judge import judge
from chaos.storm.nemesis import TICK_S, Nemesis
from chaos.storm.stage import RATE, WINDOW_S, Stage, stage
from redis import Redis, RedisError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from chaos.storm.evidence import Evidence
    from chaos.storm.options import SendOptions

PRODUCERS_S: Final = 120.0
"""How long the producers may take for the repeats that must be answered."""
EMPTY_S: Final = 300.0
"""After this long without any progress the storm no longer waits for the queue to become empty."""

CLEAN_S: Final = 20.0
"""What is left over after this is residue."""


def run(options: SendOptions, folder: Path) -> tuple[Evidence, dict[str, Sequence[str]]]:
    """Runs it, keeps its evidence in the folder, and judges that."""
    folder.mkdir(parents=True)
    faults = plan.draw(options.seed, options.seconds, options.mix)
    told = {**asdict(options), "rate": RATE, "window_s": WINDOW_S, "plan": [asdict(fault) for fault in faults]}
    (folder / "storm.json").write_text(json.dumps(told, indent=1))
    source = sabotage.copy_with(sabotage.DEFECTS[options.sabotage], folder / "source") if options.sabotage else []
    with stage(options, folder, source) as running:
        running.start_producers(options.seconds)
        Nemesis(running).rage(faults, options.seconds)
        _wait_for_producers(running)
        _wait_until_empty(running)
        _wait_until_clean(running)
        _end_workers(running)
        with Redis.from_url(running.server.url) as client:
            (folder / "redis.json").write_text(json.dumps(snapshot.take(client, plan.CHANNELS)))
    evidence = gather(folder)
    return evidence, judge(evidence)


def _wait_for_producers(running: Stage) -> None:
    deadline = time.monotonic() + PRODUCERS_S
    for number, producer in enumerate(running.producers):
        while producer.poll() is None and time.monotonic() < deadline:
            running.supervise()
            time.sleep(TICK_S)
        if producer.poll() != 0:
            running.lines.write("producer_failed", producer=f"p{number}", code=producer.poll())


def _wait_until_empty(running: Stage) -> None:
    """Until nothing is left to do, or for ``EMPTY_S`` without progress."""
    seen, since = -1, time.monotonic()
    with Redis.from_url(running.server.url) as client:
        while time.monotonic() - since < EMPTY_S:
            running.supervise()
            try:
                left = sum(snapshot.depth(client, channel) for channel in plan.CHANNELS)
            except RedisError:
                left = seen
            if left == 0:
                running.lines.write("empty")
                return
            if left != seen:
                seen, since = left, time.monotonic()
            time.sleep(TICK_S)


def _wait_until_clean(running: Stage) -> None:
    """Gives the sweeps of an empty queue the time to take away what only waits for its time."""
    deadline = time.monotonic() + CLEAN_S
    with Redis.from_url(running.server.url) as client:
        while snapshot.leftovers(client, plan.CHANNELS) and time.monotonic() < deadline:
            running.supervise()
            time.sleep(TICK_S)


def _end_workers(running: Stage) -> None:
    for worker in running.workers.values():
        worker.terminate()
    while running.supervise(again=False):
        time.sleep(TICK_S)
