"""A load of 400 messages a second over two workers, while one fault after the other strikes the servers."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chaos.failovers.gather import gather
from chaos.failovers.load import CHANNEL, Load
from chaos.failovers.verdict import Fault, Verdict, table
from redis import RedisError
from support.stack import Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane.operators.actions import Operator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PER_SECOND: Final = 400
CALM: Final = PER_SECOND
"""So many messages are delivered before the first fault and after each one, and again once it is repaired."""
WORKERS: Final = 2
LATENCY_S: Final = 0.1
"""Of the API, so that some messages wait and some are in flight whenever a fault strikes."""
LEASES: Final = {"PUSHLANE_LEASE_S": "10", "PUSHLANE_PUSH_DEADLINE_S": "3"}
PATIENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault to come: what it does, what repairs it, and how long after it writes are lost (see ``Fault``)."""

    kind: str
    strike: Callable[[], object]
    repair: Callable[[], object]
    loses_for_s: float | None = None


def run(folder: Path, redis_url: str, strikes: Iterable[Strike], settings: dict[str, str]) -> list[str]:
    """What is wrong with the run; the figures are printed, and appended to the file that FIGURES names."""
    with fake_api(latency_s=LATENCY_S) as api:
        stack = Stack(redis_url, api, folder, channel_settings(api.url) | LEASES | settings)
        try:
            for worker in [stack.worker("-c", "1") for _ in range(WORKERS)]:
                worker.ready()
            with Load(redis_url, PER_SECOND) as load:
                faults, ended = _strike_all(stack, strikes), time.time()
            _wait_until_empty(redis_url)
            evidence = gather(load.accepted, api, redis_url)
            verdict = Verdict(evidence, load.acknowledged, faults, ended)
            _show([f"{len(faults)} faults at {PER_SECOND} messages/s", *table(verdict.rows())])
            breaks = [f"order: {one}" for one in api.record().first_order_breaks]
            return [*load.refusals, *verdict.problems(), *breaks]
        finally:
            stack.close()


def _strike_all(stack: Stack, strikes: Iterable[Strike]) -> list[Fault]:
    faults = []
    _calm(stack)
    for one in strikes:
        faults.append(Fault(one.kind, time.time(), one.loses_for_s))
        one.strike()
        _calm(stack)
        one.repair()
        _calm(stack)
    return faults


def _calm(stack: Stack) -> None:
    until = stack.record().distinct + CALM
    wait_until(lambda: stack.record().distinct >= until, "delivery to go on", PATIENCE_S)


def _wait_until_empty(redis_url: str) -> None:
    with Operator(redis_url, by="a test") as operator:

        def is_empty() -> bool:
            try:
                overview = operator.overview(CHANNEL)
            except RedisError:
                return False
            return overview is not None and overview.depth == 0

        wait_until(is_empty, "the queue to be empty", PATIENCE_S)


def _show(lines: Iterable[str]) -> None:
    text = "\n".join(lines)
    print(f"\n{text}")  # noqa: T201 # the figures are what the run is for
    if file := os.environ.get("FIGURES"):
        with Path(file).open("a", encoding="utf-8") as figures:
            figures.write(f"{text}\n\n")
