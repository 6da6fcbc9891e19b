"""The worker's scripts on one Redis client, and the few other calls that a worker makes."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import redis.asyncio

from pushlane.channel_record import newer_channel
from pushlane.clients import connect_async
from pushlane.keys import BELL, CHANNELS, channel_prefix
from pushlane.scripts import UNREGISTERED, Script
from pushlane_worker.queue.rate_clock import RateClock
from pushlane_worker.telemetry import logger

WORKER = "pushlane_worker"
REDIS_TIMEOUT_S = 5.0
MAX_WAITING = 16
"""Drains of a process that wait for a message at once, each on a connection of its own; a client has 50."""
_REFUSALS = ("NOREPLICAS", "MISCONF", "BUSY", "UNKILLABLE", "ACL failure", "The user executing the script")
"""Errors without a redis-py class, from a server that refuses writes or calls; a write in a script may meet them. The
last two are of a script whose user may not run a command: Redis 7.2's words, and 7.0's."""
_REGISTER, _RING_IS_OUT = Script("register"), Script("ring_is_out", WORKER)


class Store:
    """The scripts on one asyncio client. Belongs to one event loop.

    Args:
        redis: Must return raw bytes.
        records: Each channel's record, written when it is not in Redis (``lua/register.lua``).
    """

    def __init__(self, redis: redis.asyncio.Redis, records: Mapping[str, Mapping[str, str | int]]) -> None:
        self.redis = redis
        self._records = records
        self._waiting = 0
        self._clocks: defaultdict[str, RateClock] = defaultdict(RateClock)

    @classmethod
    def connect(cls, redis_url: str, records: Mapping[str, Mapping[str, str | int]]) -> "Store":
        """A store with its own connections, opened at the first call; a call fails after 5 s without an answer."""
        return cls(connect_async(redis_url, timeout=REDIS_TIMEOUT_S, connect_timeout=REDIS_TIMEOUT_S), records)

    async def aclose(self) -> None:
        """Closes its connections."""
        await self.redis.aclose()

    async def register(self, channel: str) -> bool:
        """Writes the channel's record; returns whether the channel is new. Raises NewerChannel."""
        fields = [item for pair in self._records[channel].items() for item in pair]
        with _own(channel):
            is_new = await _REGISTER.call_async(self.redis, channel_prefix(channel), "", *fields)
        await self.redis.sadd(CHANNELS, channel)
        return bool(is_new)

    async def queue_of(self, channel: str) -> str | None:
        """The Celery queue that the channel's drains go to; None when the channel is not registered."""
        queue = await self.redis.hget(f"{channel_prefix(channel)}channel", "queue")
        return _text(queue) if queue is not None else None

    async def is_ring_out(self, channel: str) -> bool:
        """Whether there is a ring for the channel that no drain has answered yet."""
        return bool(await _RING_IS_OUT.call_async(self.redis, channel_prefix(channel)))

    async def bell(self, timeout_s: float) -> str | None:
        """The next channel that needs a drain, or None after the timeout."""
        rung = await self.redis.bzpopmin(BELL, timeout=timeout_s)
        return _text(rung[1]) if rung else None

    @property
    def may_wait(self) -> bool:
        """Whether one more drain may wait for a message."""
        return self._waiting < MAX_WAITING

    async def woken(self, channel: str, timeout_s: float) -> None:
        """Waits, at most this long, until a script has work for a listening drain of the channel."""
        if not self.may_wait:  # several drains have asked before the first one waited
            await asyncio.sleep(timeout_s)
            return
        self._waiting += 1
        try:
            await self.redis.blpop([f"{channel_prefix(channel)}wake"], timeout=timeout_s)
        finally:
            self._waiting -= 1

    async def call(self, script: str, channel: str, arguments: Sequence[Any]) -> Any:  # noqa: ANN401 # nested lists
        """The reply of ``turn`` or ``sweep``; a channel that Redis has lost is registered again before.

        So is one whose record an older release has written last. Each call tells the latest time that the rate window's
        clock can show, and its reply ends with that clock.

        Raises:
            NewerChannel: A newer release has registered the channel, and leaves nothing of it to this one.
        """
        reply = await self._timed(script, channel, arguments)
        if reply[0] != UNREGISTERED:
            return reply
        await self.register(channel)
        logger().info(
            "channel.registered", channel=channel, why="Redis did not know it, or knew it from an older release"
        )
        return await self._timed(script, channel, arguments)

    async def _timed(self, script: str, channel: str, arguments: Sequence[Any]) -> Any:  # noqa: ANN401 # as above
        clock, sent = self._clocks[channel], time.monotonic()
        prefix = channel_prefix(channel)
        with _own(channel):
            reply = await Script(script, WORKER).call_async(self.redis, prefix, "", clock.latest(sent), *arguments)
        if len(reply) > 1:
            clock.saw(reply[-1], sent, time.monotonic())
        return reply


@contextlib.contextmanager
def _own(channel: str) -> Iterator[None]:
    """Raises NewerChannel if a script says so."""
    try:
        yield
    except redis.ResponseError as error:
        raise newer_channel(channel, error) or error from None


def log_gate(channel: str, change: Sequence[Any]) -> None:
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
