"""Decisions, their effects, and what a feed has left of them in Redis."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from support.waiting import wait_until_async

from pushlane.callback.decisions.decision import Decision
from pushlane.callback.decisions.feed import Feed
from pushlane.callback.verdict import Verdict
from pushlane.keys import DECISIONS_PREFIX, UNFED, channel_prefix
from pushlane.service import effects

if TYPE_CHECKING:
    from redis import Redis

    from pushlane.service.effects import Effect
Open = Callable[..., AbstractAsyncContextManager[Feed]]
RETENTION_S = 60.0
ALLOW, FORBID = Verdict("allow", policy="chain"), Verdict("forbid", policy="words", reason="why")


def decision(
    number: int, verdict: Verdict = ALLOW, *todo: Effect, message_key: str | None = None, key: str | None = None
) -> Decision:
    """A decision on the message of this number."""
    return Decision(
        key=key or f"key{number:04d}",
        message_key=f"message{number:04d}" if message_key is None else message_key,
        command="C2C.CallbackBeforeSendMsg",
        sdk_app_id="1",
        sender="alice",
        receiver="bob",
        message=f"{number}_{number}_1",
        verdict=verdict,
        at_ms=1_700_000_000_000,
        took_ms=3,
        effects=todo,
    )


def relay(number: int, channel: str = "support", room: str = "r", text: str | None = None) -> Effect:
    """Enqueues a text."""
    fields = {"room_id": room, "text": f"text {number}" if text is None else text}
    return effects.relay(channel, fields, f"moderation/key{number:04d}")


def stream(redis: Redis) -> list[str]:
    """The keys in the stream, oldest first."""
    found: Any = redis.xrange(f"{DECISIONS_PREFIX}stream")
    return [fields[b"key"].decode() for _, fields in found]


def verdicts(redis: Redis) -> dict[str, int]:
    """The counters, without those by policy."""
    found: Any = redis.hgetall(f"{DECISIONS_PREFIX}verdicts")
    return {name.decode(): int(count) for name, count in found.items() if b" " not in name}


def unfed(redis: Redis) -> list[str]:
    """The decisions that nobody has tried."""
    found: Any = redis.zrange(UNFED, 0, -1)
    return [key.decode() for key in found]


def postponed(redis: Redis, lane: str = "relay/later") -> list[str]:
    """The decisions that wait in a lane."""
    found: Any = redis.zrange(f"{DECISIONS_PREFIX}lane:{lane}", 0, -1)
    return [key.decode() for key in found]


def queued(redis: Redis, room: str = "r", channel: str = "support") -> list[str]:
    """The texts that wait in a room, in their order."""
    ids: Any = redis.lrange(f"{channel_prefix(channel)}conversation:{room}", 0, -1)
    records: list[Any] = [redis.get(f"{channel_prefix(channel)}message:{one.decode()}") for one in ids]
    return [record[record.rindex(b'"text') :].decode().strip('"') for record in records]


async def soon(predicate: Callable[[], object], what_for: str) -> None:
    """Waits for what another task does."""

    async def look() -> object:
        return predicate()

    await wait_until_async(look, what_for)
