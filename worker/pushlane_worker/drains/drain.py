"""A drain: for one slice it settles, claims and pushes many conversations at once, then settles its open pushes.

::

    claiming ──slice over, asked to end, or nothing to do──▶ left ──last open push settled──▶ done

Each turn is one script call. While it claims, a drain with a free slot listens: it looks for new work at least every
20 ms, so no ring is needed. If the channel is empty, scripts wake it (``Store.woken``), and it looks every 120 ms.
After it has left, its turns only settle.
"""

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from pushlane.message_record import REASONS
from pushlane.outcome import Outcome
from pushlane_worker.drains.capacity import Capacity
from pushlane_worker.drains.push import Job, Pushers
from pushlane_worker.queue.turns import ONLY_SETTLE, Settled, Settlement, Turn, Turns
from pushlane_worker.telemetry import logger

POLL_S = 0.02
"""The longest time between a listening drain's turns; a listener counts for 250 ms (``lua/lib_wake.lua``)."""
VOUCH_S = 0.5
"""The longest time between a full drain's turns: each keeps the current ring alive, which would lapse after 1 s."""
LINGER_S = 0.25
"""How long a drain with pushes in flight stays when there is nothing to claim: most answers take less, and a hanging
push must not occupy the process for a whole slice. And how long one without stays for the next message: starting a
drain through Celery takes five times as long as waking one."""
LOOK_S = 0.12
"""The longest time between its turns while it waits for the next message; less than half of what a listener counts."""

MAX_SETTLED = 50
"""Pushes that a turn settles at most. After an outage of Redis thousands may be finished, but no turn may hold Redis
for longer than a few ms, and Lua passes at most 8,000 arguments."""

IDLE_AFTER_S = 0.1
"""A drain that neither claims nor settles anything for this long frees its process for another channel's task."""

RATE_WAIT_MS = 1000
"""A shorter wait for the rate is not worth a line in the log: the drain stays for it."""

Ended = Literal["empty", "slice", "rate", "gate", "shutdown", "busy", "newer"]
"""``slice`` also if the next drain took over from it; ``busy`` if it never claimed as another did (``handover.py``);
``newer`` if only workers of a newer release may drain the channel."""


@dataclass(slots=True)
class Report:
    """What a drain did. ``delivered`` and ``dead_lettered`` count messages, the other counts are pushes."""

    channel: str
    ended: Ended = "empty"
    delivered: int = 0
    dead_lettered: int = 0
    death: str = ""
    """Why the last of these died."""
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    details: dict[Outcome, str] = field(default_factory=dict)
    next_ms: int = -1
    """How long the channel waits after its last turn, and for what; -1 until an outcome or an enqueue."""
    waits_for: Literal["empty", "rate", "gate"] = "empty"
    fault: str = ""
    """Our own error, if there was one."""

    @property
    def pushes(self) -> int:
        """Requests that were sent or attempted."""
        return sum(count for outcome, count in self.outcomes.items() if outcome is not Outcome.UNSENT)

    def add(self, settlement: Settlement, settled: Settled) -> None:
        """Counts a push and what its settlement did."""
        outcome = settlement.result.outcome
        self.outcomes[outcome] += 1
        if settlement.result.detail:
            self.details[outcome] = settlement.result.detail
        if settled is Settled.CURRENT:
            self.delivered += len(settlement.claim.message_ids) if outcome is Outcome.DELIVERED else 0
            if dead := settlement.dead_ids():
                self.dead_lettered += len(dead)
                self.death = settlement.result.detail

    def as_result(self) -> dict[str, str | int | float]:
        """What monitors show as the task's result: the counts that are not 0, most important first."""
        counts = {
            "dead_lettered": self.dead_lettered,
            **{
                outcome.name.lower(): self.outcomes[outcome]
                for outcome in Outcome
                if outcome not in {Outcome.DELIVERED, Outcome.UNSENT}
            },
            "messages_per_push": round(self.delivered / max(self.outcomes[Outcome.DELIVERED], 1), 2),
        }
        present = {name: count for name, count in counts.items() if count}
        return {
            "delivered": self.delivered,
            "pushes": self.pushes,
            **present,
            "ended": self.ended,
            "channel": self.channel,
        }


def log_dead_letters(channel: str, settlement: Settlement) -> None:
    """Logs the messages that a settlement dead-lettered, if any."""
    if message_ids := settlement.dead_ids():
        logger().warning(
            "messages.dead_lettered",
            channel=channel,
            conversation=settlement.claim.conversation.decode(),
            message_ids=",".join(message_ids),
            reason=REASONS[settlement.step.reason],
            detail=settlement.result.detail,
        )


def log_rate_wait(report: Report) -> None:
    """Logs that the rate makes the channel wait: not by each drain that finds no budget, but by that which used it."""
    if report.pushes and report.waits_for == "rate" and report.next_ms > RATE_WAIT_MS:
        logger().info("rate.waits", channel=report.channel, next_s=report.next_ms / 1000)


@dataclass(slots=True, eq=False)
class Drain:
    """One drain of one channel, in the loop thread of its process."""

    turns: Turns
    pushers: Pushers
    capacity: Capacity
    slice_s: float
    report: Report
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it waits for the next message for the first time."""
    _progress_at: float = field(default_factory=time.monotonic)
    _busy: int = 0
    _finished: list[Settlement] = field(default_factory=list)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _ends: Ended | None = None

    def end(self, why: Ended) -> None:
        """Stops claiming now; pushes in flight continue. The first reason is kept."""
        self._ends = self._ends or why
        self._wake.set()

    async def claim(self) -> None:
        """The claiming phase: returns at the end of the slice, on ``end``, or when there is nothing to do."""
        slice_end = time.monotonic() + self.slice_s
        leave_at = None
        with self.capacity.drain(self.turns.channel):
            while True:
                if self._ends or time.monotonic() >= slice_end:
                    self.report.ended = self._ends or "slice"
                    break
                turn = await self._turn(self.capacity.free(self.turns.channel))
                if turn.leaves:
                    self.report.ended = turn.waits_for
                    return
                leave_at = self._linger(leave_at, turn)
                if leave_at is not None and time.monotonic() >= leave_at:
                    self.report.ended = turn.waits_for
                    break
                await self._wait(turn, slice_end)
        await self._turn(ONLY_SETTLE)

    async def settle(self) -> None:
        """The settling phase: returns when nothing is in flight any more."""
        while self._busy or self._finished:
            if not self._finished:
                await self._woken(VOUCH_S)
            # Claims may wait for the gate's state if this process was too busy to use that of the last turn.
            if self._finished or self.pushers.waits_for_a_turn:
                await self._turn(ONLY_SETTLE)
        log_rate_wait(self.report)

    @property
    def is_idle(self) -> bool:
        """Whether it is only waiting: for a message, the gate, the rate, an answer or Redis."""
        return self.idle.is_set() or time.monotonic() - self._progress_at >= IDLE_AFTER_S

    @property
    def settled(self) -> bool:
        """Whether nothing is left to settle."""
        return not self._busy and not self._finished

    async def _turn(self, free: int) -> Turn:
        asked = time.monotonic()
        finished, self._finished = self._finished[:MAX_SETTLED], self._finished[MAX_SETTLED:]
        busy = self._busy + len(self._finished)
        # Reserved before Redis answers, or another channel's drain would claim into the same slots.
        reserved = max(free, 0)
        self.capacity.reserve(self.turns.channel, reserved)
        try:
            turn = await self.turns.take(free, busy, finished, stays=self.turns.may_wait)
        except BaseException:
            self._finished[:0] = finished
            self.capacity.release(self.turns.channel, reserved)
            raise
        for settlement, settled in zip(finished, turn.settled, strict=True):
            self.report.add(settlement, settled)
            if settled is Settled.CURRENT:
                log_dead_letters(self.turns.channel, settlement)
        self.report.next_ms, self.report.waits_for = turn.wait_ms, turn.waits_for
        if turn.claims or finished:
            self._progress_at = time.monotonic()
        self._busy += len(turn.claims)
        self.capacity.release(self.turns.channel, reserved - len(turn.claims))
        self.pushers.note_gate(asked, closed=turn.closed)
        for claim in turn.claims:
            self.pushers.submit(Job(claim, self._done))
        return turn

    def _done(self, settlement: Settlement) -> None:
        self._busy -= 1
        self._finished.append(settlement)
        self.capacity.release(self.turns.channel)
        self._wake.set()

    def _linger(self, leave_at: float | None, turn: Turn) -> float | None:
        if turn.soon:
            return None
        return time.monotonic() + LINGER_S if leave_at is None else leave_at

    async def _wait(self, turn: Turn, slice_end: float) -> None:
        if self.capacity.free(self.turns.channel) == 0:
            # The slots may be taken up by an earlier drain or another channel, which does not wake this one.
            vouch_at = min(slice_end, time.monotonic() + VOUCH_S)
            while (
                not self._finished
                and not self._ends
                and self.capacity.free(self.turns.channel) == 0
                and time.monotonic() < vouch_at
            ):
                await self._sleep(POLL_S)
        elif turn.wait_ms == 0 and turn.claims:
            await asyncio.sleep(0)  # more is ready than one turn may claim
        elif turn.is_empty and not self._busy:
            await self._await_message()
        else:
            await self._sleep(min(POLL_S, turn.wait_ms / 1000) if turn.wait_ms > 0 else POLL_S)

    async def _sleep(self, longest: float) -> None:
        """Waits until a push is finished, the drain is stopped, or ``longest`` seconds have passed."""
        if not self._finished and not self._ends:
            await self._woken(longest)

    async def _await_message(self) -> None:
        self.idle.set()
        heard = asyncio.ensure_future(self.turns.woken(LOOK_S))
        heard.add_done_callback(lambda _: self._wake.set())
        try:
            with self.capacity.waiting(self.turns.channel):
                await self._sleep(LOOK_S + POLL_S)
        finally:
            heard.cancel()
            await asyncio.gather(heard, return_exceptions=True)  # what it raises, the next turn will meet, too

    async def _woken(self, longest: float) -> None:
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest):
                await self._wake.wait()
