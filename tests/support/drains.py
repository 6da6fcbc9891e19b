"""A drain against turns and pushers of the test's own: no Redis, no API."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from pushlane.outcome import Outcome
from pushlane_worker.drains.capacity import Capacity
from pushlane_worker.drains.drain import Drain, Report
from pushlane_worker.drains.push import FRESH_S, Pushers
from pushlane_worker.queue.outcome import PushResult
from pushlane_worker.queue.retry import NextStep
from pushlane_worker.queue.turns import Claim, Settled, Settlement, Turn, Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushlane.tracing import Span
    from pushlane_worker.drains.push import Job

CHANNEL = "support"
NOTHING = Turn(-1, "empty", [], [], soon=False)
LATER = Turn(500, "gate", [], [])


def claim(name: bytes) -> Claim:
    """A batch of one message."""
    return Claim(
        name,
        b"d:0:0",
        probe=False,
        early_ms=0,
        message_ids=[name],
        records=[b""],
        details=[],
        claimed_ms=0,
        asked=0.0,
        deadline=0.0,
    )


def delivered(job: Job) -> None:
    """Ends a push well."""
    job.done(Settlement(job.claim, PushResult(Outcome.DELIVERED), NextStep()))


@dataclass
class FakeTurns:
    """Answers each turn with the next of these, or raises it; then with the last one.

    A drain that can claim nothing soon leaves when it has no push in flight, as the script says.
    """

    answers: list[Turn | Exception]
    channel: str = CHANNEL
    frees: list[int] = field(default_factory=list)
    settled: list[list[bytes]] = field(default_factory=list)
    settles: Settled = Settled.CURRENT
    before: Callable[[], None] = lambda: None
    """Called once, in the first turn that raises: what happens while Redis does not answer."""
    after: Callable[[], object] = lambda: None
    """Called once, as the next turn's reply arrives."""
    may_wait: bool = False
    message: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a script wakes the drain."""

    async def woken(self, timeout_s: float) -> None:
        """Waits for a message."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.message.wait()
                self.message.clear()

    async def take(self, free: int, busy: int, settlements: Sequence[Settlement], *, stays: bool) -> Turn:
        """Notes what it was asked."""
        self.frees.append(free)
        self.settled.append([settlement.claim.conversation for settlement in settlements])
        await asyncio.sleep(0)
        after, self.after = self.after, lambda: None
        after()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            self.before()
            raise answer
        leaves = not answer.soon and not busy and not (stays and answer.is_empty)
        return replace(answer, settled=[self.settles] * len(settlements), leaves=leaves)


@dataclass
class FakePushers:
    """Keeps the jobs; the test ends them."""

    jobs: list[Job] = field(default_factory=list)
    waits_for_a_turn: bool = False

    async def busy(self) -> bool:
        """Whether there is a job."""
        return bool(self.jobs)

    def note_gate(self, _asked: float, *, closed: bool) -> None:
        """Hears of the gate, which these answers never close."""
        assert not closed

    def submit(self, job: Job) -> None:
        """Takes a job."""
        self.jobs.append(job)


class SlowPushers(Pushers):
    """A coroutine whose pushes take longer than a turn's word of the gate is good for, and are delivered."""

    async def _push(self, claim: Claim, now: float, span: Span) -> PushResult:
        del claim, now, span
        await asyncio.sleep(2 * FRESH_S)
        return PushResult(Outcome.DELIVERED)

    def _settlement(self, claim: Claim, result: PushResult, took_s: float = 0.0) -> Settlement:
        return Settlement(claim, result, NextStep(), took_ms=round(took_s * 1000))


def make(
    *answers: Turn | Exception,
    slice_s: float = 60,
    limit: int = 4,
    capacity: Capacity | None = None,
    channel: str = CHANNEL,
) -> tuple[Drain, FakeTurns, FakePushers]:
    """A drain with these answers."""
    turns, pushers = FakeTurns(list(answers), channel), FakePushers()
    capacity = capacity or Capacity(limit, channels=1)
    drain = Drain(cast("Turns", turns), cast("Pushers", pushers), capacity, slice_s, Report(channel))
    return drain, turns, pushers


async def soon(things: Sequence[object]) -> Sequence[object]:
    """The things, for ``wait_until_async``."""
    return things
