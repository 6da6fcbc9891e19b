"""A drain's turns: each settles what is finished and claims what is ready, in one call of ``lua/turn.lua``.

A drain numbers its turns. When the reply to one is lost, the same turn is sent again and Redis answers with the same
claims and settles nothing twice. A claim's ``asked`` and ``deadline`` are on this process's monotonic clock, counted
from before the turn was first sent: the deadline is never later than the lease in Redis.
"""

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

from pushlane.connections import UNANSWERED
from pushlane.message_record import attempts_of, first_expiry, history_of, trace_of
from pushlane_worker.queue.outcome import MAX_DETAIL_CHARS, PushResult
from pushlane_worker.queue.retry import History, NextStep
from pushlane_worker.queue.store import Store, is_script_error, log_gate
from pushlane_worker.telemetry import logger

_RETRY_FIRST_S = 0.05
_RETRY_CAP_S = 1.0
_MAX_REFUSED = 10
ONLY_SETTLE = -1
"""The value of ``free`` for a drain that no longer claims."""


@dataclass(slots=True)
class Claim:
    """A leased batch: messages that stay at their conversation's head until a settle with this token."""

    conversation: bytes
    token: bytes
    probe: bool
    early_ms: int
    """For an early probe: the ms until it would have been due."""
    message_ids: Sequence[bytes]
    records: Sequence[bytes]
    details: Sequence[bytes]
    """Those of each message, empty for one without; no entry at all if no message has any."""
    claimed_ms: int
    asked: float
    deadline: float

    def may_have_expired(self, now: float) -> bool:
        """Whether one of its messages may have expired, by Redis's clock at the claim and this process's since.

        A claim may wait in its process for 20 s while the API is slow. The answer may be early by the time that the
        turn's reply took, but never late.
        """
        now_ms = self.claimed_ms + (now - self.asked) * 1000
        return 0 < first_expiry(self.details) <= now_ms

    def attempt(self) -> int:
        """The number of this push for its head, counted from 1."""
        return (attempts_of(self.details[0]) if self.details else 0) + 1

    def traces(self) -> dict[str, bytes]:
        """The trace context of each message, by its id; empty for a message that was not sent in a traced span."""
        pairs = zip(self.message_ids, self.details, strict=bool(self.details))
        return {message_id.decode(): trace_of(details) for message_id, details in pairs}

    def history(self) -> list[History]:
        """The messages' histories at the time of the claim."""
        pairs = zip(self.records, self.details or [b""] * len(self.records), strict=True)
        return [
            History(attempts, (self.claimed_ms - joined_ms) / 1000)
            for attempts, joined_ms in (history_of(record, details) for record, details in pairs)
        ]


@dataclass(frozen=True, slots=True)
class Settlement:
    """A finished claim with what to do about it."""

    claim: Claim
    result: PushResult
    step: NextStep
    lost: bool = False
    took_ms: int = 0
    """How long the push took; 0 if it was never begun, or its worker was lost."""

    def dead_ids(self) -> list[str]:
        """The messages that it dead-letters if its lease is still valid."""
        pairs = zip(self.claim.message_ids, self.step.dead, strict=False)
        return [message_id.decode() for message_id, dead in pairs if dead == "1"]

    def arguments(self) -> tuple[bytes | int | str, ...]:
        """One group of the arguments of ``lua/turn.lua``."""
        return (
            self.claim.conversation,
            self.claim.token,
            int(self.result.outcome),
            self.step.wait_ms,
            self.step.dead,
            self.step.reason,
            self.result.detail[:MAX_DETAIL_CHARS],
            int(self.result.reached),
            int(self.lost),
            self.step.split,
            int(self.result.lone),
            self.took_ms,
        )


class Settled(IntEnum):
    """What a turn did with a settlement. ``lua/lib_settle.lua`` repeats these values."""

    STALE = 0
    """Nothing: its lease was no longer valid."""
    CURRENT = 1
    SPARED = 2
    """The channel was blamed: the messages stay queued and have spent no attempt."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn's reply: ms until something can be claimed (0 now, -1 not before an outcome or an enqueue)."""

    wait_ms: int
    waits_for: Literal["empty", "rate", "gate"]
    settled: Sequence[Settled]
    claims: Sequence[Claim]
    closed: bool = False
    """Claims that wait in the process must not be pushed now, except a probe."""
    is_empty: bool = False
    """The channel has no message that can be claimed now or later, but for leased ones."""
    soon: bool = True
    """Something was claimed, or can be within a second."""
    leaves: bool = False
    """The drain leaves: it has no push in flight either, and does not stay. It no longer counts as a listener."""


def read_claim(claim: Sequence[Any], now_ms: int, asked: float = 0.0, lease_s: float = 0.0) -> Claim:
    """A claim in the reply of ``lua/turn.lua``, or an expired lease in that of ``lua/sweep.lua``."""
    conversation, token, probe, details, *pairs = claim
    ids, records = pairs[::2], pairs[1::2]
    return Claim(
        conversation, token, probe > 0, max(probe - 1, 0), ids, records, details or (), now_ms, asked, asked + lease_s
    )


@dataclass(slots=True)
class Turns:
    """The numbered turns of one drain."""

    store: Store
    channel: str
    lease_s: float
    drain: str = field(default_factory=lambda: secrets.token_hex(8))
    number: int = 0

    async def take(self, free: int, busy: int, settlements: Sequence[Settlement], *, stays: bool = False) -> Turn:
        """Settles, then claims up to ``free`` batches (-1: only settles); ``busy`` pushes are still in flight.

        ``stays`` says that the drain waits a while for the next message if the channel is empty.
        Retries until Redis answers: settlements must not be lost, and claims must not be made twice.

        Raises:
            redis.ResponseError: The script itself keeps failing.
        """
        asked = time.monotonic()
        arguments = [self.drain, self.number, free, busy, round(self.lease_s * 1000), int(stays)]
        for settlement in settlements:
            arguments += settlement.arguments()
        reply = await self._insist(arguments)
        self.number += 1
        wait, settled, claims, now, why, closed, soon, leaves, change, _ = reply
        log_gate(self.channel, change)
        return Turn(
            wait,
            why.decode(),
            [Settled(status) for status in settled],
            [read_claim(claim, now, asked, self.lease_s) for claim in claims],
            closed=closed == 1,
            is_empty=wait < 0 and why == b"empty",
            soon=soon == 1,
            leaves=leaves == 1,
        )

    @property
    def may_wait(self) -> bool:
        """Whether one more drain of this process may wait for a message."""
        return self.store.may_wait

    async def woken(self, timeout_s: float) -> None:
        """Waits, at most this long, until there may be something to claim."""
        await self.store.woken(self.channel, timeout_s)

    async def _insist(self, arguments: Sequence[object]) -> Any:  # noqa: ANN401 # a reply of nested lists
        pause, refused = _RETRY_FIRST_S, 0
        while True:
            try:
                return await self.store.call("turn", self.channel, arguments)
            except UNANSWERED as error:
                refused += is_script_error(error)
                if refused > _MAX_REFUSED:
                    raise
                problem = str(error) or type(error).__name__
                logger().warning("turn.unanswered", channel=self.channel, turn=self.number, problem=problem)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RETRY_CAP_S)
