"""The loop thread of a pool process against turns of the test's own: no Redis, no API."""

from __future__ import annotations

import asyncio
import queue
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.environment import CHANNEL, ROOT, Tell

from pushlane.outcome import Outcome
from pushlane_worker.drains.loop_thread import LoopThread
from pushlane_worker.drains.push import Pushers
from pushlane_worker.queue.outcome import PushResult
from pushlane_worker.queue.turns import Settled, Settlement, Turn, read_claim

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pushlane_worker.drains.drain import Report
    from pushlane_worker.queue.turns import Claim

PUSH_S = 0.05


def claim(name: bytes) -> Claim:
    """A batch of one message."""
    return read_claim([name, b"d:0:0", 0, b"", name, b""], now_ms=0)


class Script:
    """What Redis answers to the turns of all drains, one after another; then nothing to do."""

    def __init__(self) -> None:
        self.answers: list[Turn | Exception] = []

    def turns(self, *_: object) -> FakeTurns:
        """In place of ``store.Turns``."""
        return FakeTurns(self)


class FakeTurns:
    """The turns of one drain."""

    channel = "support"
    may_wait = False

    def __init__(self, script: Script) -> None:
        self._script = script

    async def take(self, free: int, busy: int, settlements: Sequence[Settlement], *, stays: bool) -> Turn:
        """The next answer."""
        del free, stays
        await asyncio.sleep(0)
        answer = self._script.answers.pop(0) if self._script.answers else Turn(-1, "empty", [], [], soon=False)
        if isinstance(answer, Exception):
            raise answer
        return replace(answer, settled=[Settled.CURRENT] * len(settlements), leaves=not answer.soon and not busy)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """The answers, which a test sets."""
    script = Script()
    monkeypatch.setattr("pushlane_worker.drains.loop_thread.Turns", script.turns)
    return script


@pytest.fixture
def loop(script: Script, monkeypatch: pytest.MonkeyPatch, tell: Tell) -> Iterator[LoopThread]:
    """A loop thread whose pushes are delivered after 50 ms."""
    del script

    async def push(*_: object) -> PushResult:
        await asyncio.sleep(PUSH_S)
        return PushResult(Outcome.DELIVERED)

    monkeypatch.setattr(Pushers, "_push", push)
    loop = LoopThread(tell.all({**ROOT, **CHANNEL}))
    yield loop
    loop.close()


def test_what_a_drain_pushed_is_settled_though_its_claiming_failed(script: Script, loop: LoopThread) -> None:
    """Monitors hear of both, once."""
    script.answers = [Turn(-1, "gate", [], [claim(b"a")]), ValueError("the reply made no sense")]
    reports: queue.Queue[Report] = queue.Queue()
    loop.drain("support", reports.put)
    report = reports.get(timeout=5)
    assert (report.delivered, report.fault) == (1, "ValueError: the reply made no sense")
    assert reports.empty()
