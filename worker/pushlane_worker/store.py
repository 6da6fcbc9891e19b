"""The worker's side of the queue in Redis: turns and sweeps, each a single script call.

A drain numbers its turns. When the reply to one is lost, the same turn is sent again and Redis answers with the same
claims and settles nothing twice (``lua/turn.lua``). A claim's ``asked`` and ``deadline`` are on this process's
monotonic clock, counted from before the turn was first sent: the deadline is never later than the lease in Redis.
"""

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

import redis.asyncio

from pushlane.clients import connect_async
from pushlane.keys import BELL, CHANNELS, channel_prefix
from pushlane.message_record import HEADER_BYTES, Header, first_expiry, read_header
from pushlane.scripts import source
from pushlane_worker.outcome import MAX_DETAIL_CHARS, PushResult
from pushlane_worker.rate_clock import RateClock
from pushlane_worker.retry import History, NextStep
from pushlane_worker.telemetry import logger

WORKER = "pushlane_worker"
REDIS_TIMEOUT_S = 5.0
_RETRY_FIRST_S = 0.05
_RETRY_CAP_S = 1.0
_MAX_REFUSED = 10
_REFUSALS = ("NOREPLICAS", "MISCONF", "BUSY", "UNKILLABLE")
"""Errors without a redis-py class, from a server that refuses writes or calls; a write in a script may meet them."""
ONLY_SETTLE = -1
"""The value of ``free`` for a drain that no longer claims."""
UNREGISTERED = -2
"""How ``turn`` and ``sweep`` say that Redis does not know the channel (any more)."""
UNANSWERED = (redis.RedisError, OSError, RuntimeError)
"""What a call may raise while Redis is unavailable or unreachable. uvloop raises a bare RuntimeError if a connection is
reset while it is being written (seen under a storm of CLIENT KILL)."""


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
    claimed_ms: int
    asked: float
    deadline: float

    def over(self, now: float) -> bool:
        """Whether one of its messages may have expired, by Redis's clock at the claim and this process's since.

        This may be early by the time that the turn's reply took, but never late.
        """
        now_ms = self.claimed_ms + (now - self.asked) * 1000
        return 0 < first_expiry(self.records) <= now_ms

    def attempt(self) -> int:
        """The number of this push for its head, counted from 1."""
        return read_header(self.records[0]).attempts + 1

    def history(self) -> list[History]:
        """The messages' histories at the time of the claim."""
        return [_history(read_header(record[:HEADER_BYTES]), self.claimed_ms) for record in self.records]


def _history(header: Header, now_ms: int) -> History:
    return History(header.attempts, (now_ms - header.joined_ms) / 1000)


@dataclass(frozen=True, slots=True)
class Settlement:
    """A finished claim with what to do about it."""

    claim: Claim
    result: PushResult
    step: NextStep
    lost: bool = False

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
        )


class Settled(IntEnum):
    """What a turn did with a settlement. ``lua/turn.lua`` repeats these values."""

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
    """Waiting jobs must not be pushed now, except a probe."""


@dataclass(slots=True)
class _Scripts:
    turn: Any
    sweep: Any
    register: Any


@dataclass(slots=True)
class Store:
    """The scripts on one asyncio client. Belongs to one event loop.

    Args:
        redis: Must return raw bytes.
        records: Each channel's record, written when it is not in Redis (``lua/register.lua``).
    """

    redis: redis.asyncio.Redis
    records: Mapping[str, Mapping[str, str | int]]
    _scripts: _Scripts = field(init=False)
    _sweeper: str = field(init=False, default_factory=lambda: secrets.token_hex(8))
    _clocks: defaultdict[str, RateClock] = field(init=False, default_factory=lambda: defaultdict(RateClock))

    def __post_init__(self) -> None:
        names = ("turn", "sweep", "register")
        packages = (WORKER, WORKER, "pushlane")
        self._scripts = _Scripts(
            *(self.redis.register_script(source(name, package)) for name, package in zip(names, packages, strict=True))
        )

    @classmethod
    def connect(cls, redis_url: str, records: Mapping[str, Mapping[str, str | int]]) -> "Store":
        """A store with its own connections, opened at the first call; a call fails after 5 s without an answer."""
        return cls(connect_async(redis_url, timeout=REDIS_TIMEOUT_S, connect_timeout=REDIS_TIMEOUT_S), records)

    async def aclose(self) -> None:
        """Closes its connections."""
        await self.redis.aclose()

    async def register(self, channel: str) -> bool:
        """Writes the channel's record; returns whether the channel is new."""
        fields = [item for pair in self.records[channel].items() for item in pair]
        keys = [channel_prefix(channel), BELL, CHANNELS]
        return bool(await self._scripts.register(keys=keys, args=["", *fields]))

    async def queue_of(self, channel: str) -> str | None:
        """The Celery queue that the channel's drains go to; None when the channel is not registered."""
        queue = await self.redis.hget(f"{channel_prefix(channel)}channel", "queue")
        return _text(queue) if queue is not None else None

    async def is_ring_out(self, channel: str) -> bool:
        """Whether there is a ring for the channel that no drain has answered yet."""
        return bool(await self.redis.exists(f"{channel_prefix(channel)}pending"))

    async def bell(self, timeout_s: float) -> str | None:
        """The next channel that needs a drain, or None after the timeout."""
        rung = await self.redis.bzpopmin(BELL, timeout=timeout_s)
        return _text(rung[1]) if rung else None

    async def sweep(self, channel: str) -> tuple[bool, list[Claim]]:
        """Sweeps once. Returns whether to call again at once, and the expired leases as claims with only headers."""
        reply = await self._timed(self._scripts.sweep, channel, [self._sweeper])
        if reply[0] == UNREGISTERED:
            await self.register(channel)
        if reply[0] < 0:
            return False, []
        _log_gate(channel, reply[3])
        return bool(reply[0]), [_claim(lease[0], lease[1], lease[2:], reply[2]) for lease in reply[1]]

    async def turn(self, channel: str, arguments: Sequence[object]) -> Any:  # noqa: ANN401 # a reply of nested lists
        """Calls ``lua/turn.lua``, twice if the channel had to be registered again."""
        reply = await self._timed(self._scripts.turn, channel, arguments)
        if reply[0] != UNREGISTERED:
            return reply
        await self.register(channel)
        return await self._timed(self._scripts.turn, channel, arguments)

    async def _timed(self, script: Any, channel: str, arguments: Sequence[object]) -> Any:  # noqa: ANN401 # as above
        """A call that sends the bound of the rate window's clock and reads the clock from the end of the reply."""
        clock, sent = self._clocks[channel], time.monotonic()
        args = ["", clock.latest(sent), *arguments]
        reply = await script(keys=[channel_prefix(channel), BELL], args=args)
        if len(reply) > 1:
            clock.saw(reply[-1], sent, time.monotonic())
        return reply


def _log_gate(channel: str, change: Sequence[Any]) -> None:
    """Logs a change of the gate's state, in the process whose call made it."""
    if change:
        state, wait_ms, reason = change
        if state == b"open":
            logger().info("gate.open", channel=channel)
        else:
            logger().warning(f"gate.{state.decode()}", channel=channel, reason=_text(reason), next_s=wait_ms / 1000)


def is_script_error(error: Exception) -> bool:
    """Whether the script itself fails, which is permanent; a server that refuses calls does so only for a while."""
    words = str(error)
    return type(error) is redis.ResponseError and "user_script" in words and not words.startswith(_REFUSALS)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _claim(
    conversation: bytes,
    token: bytes,
    pairs: Sequence[bytes],
    now_ms: int,
    *,
    probe: int = 0,
    asked: float = 0.0,
    lease_s: float = 0.0,
) -> Claim:
    ids, records = pairs[::2], pairs[1::2]
    return Claim(conversation, token, probe > 0, max(probe - 1, 0), ids, records, now_ms, asked, asked + lease_s)


@dataclass(slots=True)
class Turns:
    """The numbered turns of one drain."""

    store: Store
    channel: str
    lease_s: float
    drain: str = field(default_factory=lambda: secrets.token_hex(8))
    number: int = 0

    async def take(self, free: int, busy: int, settlements: Sequence[Settlement]) -> Turn:
        """Settles, then claims up to ``free`` batches (-1: only settles); ``busy`` pushes are still in flight.

        Retries until Redis answers: settlements must not be lost, and claims must not be made twice.

        Raises:
            redis.ResponseError: The script itself keeps failing.
        """
        asked = time.monotonic()
        arguments = [self.drain, self.number, free, busy, round(self.lease_s * 1000)]
        for settlement in settlements:
            arguments += settlement.arguments()
        reply = await self._insist(arguments)
        self.number += 1
        wait, settled, claims, now, why, closed, change, _ = reply
        _log_gate(self.channel, change)
        return Turn(
            wait,
            why.decode(),
            [Settled(status) for status in settled],
            [
                _claim(claim[0], claim[1], claim[3:], now, probe=claim[2], asked=asked, lease_s=self.lease_s)
                for claim in claims
            ],
            closed == 1,
        )

    async def _insist(self, arguments: Sequence[object]) -> Any:  # noqa: ANN401 # a reply of nested lists
        pause, refused = _RETRY_FIRST_S, 0
        while True:
            try:
                return await self.store.turn(self.channel, arguments)
            except UNANSWERED as error:
                refused += is_script_error(error)
                if refused > _MAX_REFUSED:
                    raise
                logger().warning("turn.unanswered", channel=self.channel, turn=self.number, problem=str(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RETRY_CAP_S)
