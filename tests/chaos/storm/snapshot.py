"""Redis at the end of a storm, as one document: each message's record, and what is left of the queue's machinery."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from support.leaks import everlasting_keys

from pushlane.keys import BELL, CHANNELS, channel_prefix
from pushlane.message_record import conversation_of, read_header, text_of
from pushlane.scripts import source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

PAGE: Final = 500
_EMPTY: Final = (
    "ready",
    "delayed",
    "leases",
    "claims",
    "scheduled",
    "held",
    "blocked",
    "blocked_by",
    "unreadable",
    "resting",
)
"""What is gone when everything is final: an empty zset, hash or list has no key."""
_GROUPS: Final = ("conversation:", "hold:", "replay:")


def take(client: Redis, channels: tuple[str, ...]) -> dict[str, Any]:
    """The document."""
    redis: Any = client
    return {
        "channels": {channel: _channel(redis, channel) for channel in channels},
        "leftovers": leftovers(client, channels),
    }


def leftovers(client: Redis, channels: tuple[str, ...]) -> list[str]:
    """Keys that should be gone when everything is final, and keys that would stay for ever."""
    return [key.decode() for key in (*_leftovers(client, channels), *everlasting_keys(client))]


def depth(client: Redis, channel: str) -> int:
    """How many messages are not final."""
    return int(client.hget(f"{channel_prefix(channel)}counters", "depth") or 0)


def _channel(redis: Any, channel: str) -> dict[str, Any]:  # noqa: ANN401 - its types mix sync and async replies
    prefix = channel_prefix(channel)
    counters = {name.decode(): int(value) for name, value in redis.hgetall(f"{prefix}counters").items()}
    counters["dead"] = sum(count for name, count in counters.items() if name.startswith("dead"))
    listed = [fields for _, fields in redis.xrange(f"{prefix}unknown")]
    return {
        "counters": counters,
        "dead": redis.zcard(f"{prefix}dead"),
        "unknown": [
            {
                "at": int(one[b"at"]) / 1000,
                "ids": one[b"message_ids"].decode().split(","),
                "lost": one[b"lost"] == b"1",
                "detail": one[b"detail"].decode(),
            }
            for one in listed
        ],
        "records": dict(_records(redis, prefix)),
    }


def _ids(redis: Any, prefix: str) -> Iterator[str]:  # noqa: ANN401 - see above
    for key in redis.scan_iter(match=f"{prefix}message:*", count=PAGE):
        yield key.decode().removeprefix(f"{prefix}message:")
    for key in redis.scan_iter(match=f"{prefix}tombstones:*", count=PAGE):
        yield from (message_id.decode() for message_id in redis.hkeys(key))


def _records(redis: Any, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401 - see above
    ids = list(_ids(redis, prefix))
    status = redis.script_load(source("status"))
    for start in range(0, len(ids), PAGE):
        page = ids[start : start + PAGE]
        batch = redis.pipeline(transaction=False)
        for message_id in page:
            batch.evalsha(status, 1, prefix, "", message_id)
        for message_id, (record, details, *_) in zip(page, batch.execute(), strict=True):
            header = read_header(record, details)
            yield (
                message_id,
                {
                    "conversation": conversation_of(record),
                    "state": header.state,
                    "reason": header.reason,
                    "detail": text_of(details),
                    "maybe_delivered": header.maybe_delivered,
                    "attempts": header.attempts,
                    "sequence": header.sequence,
                    "accepted": header.accepted_ms / 1000,
                    "joined": header.joined_ms / 1000,
                    "final": header.final_ms / 1000,
                },
            )


def _leftovers(redis: Any, channels: tuple[str, ...]) -> Iterator[bytes]:  # noqa: ANN401 - see above
    now_ms = time.time() * 1000
    for channel in channels:
        prefix = channel_prefix(channel)
        yield from (f"{prefix}{name}".encode() for name in _EMPTY if redis.exists(f"{prefix}{name}"))
        for group in _GROUPS:
            yield from redis.scan_iter(match=f"{prefix}{group}*".encode(), count=PAGE)
        if redis.zcount(f"{prefix}listeners", now_ms + 1000, "+inf"):
            yield f"{prefix}listeners".encode()
    if not redis.sismember(CHANNELS, channels[0]):
        yield CHANNELS.encode()
    if redis.exists(BELL):
        yield BELL.encode()
