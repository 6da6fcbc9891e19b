"""What a channel looks like from outside: the reads behind the commands, none of which changes anything.

A channel may hold three million messages and 100,000 conversations, so every read is of constant cost, or paged and as
long as its answer; nothing here scans. One overview is one transaction: its numbers belong together.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pushlane.keys import CHANNELS, channel_prefix
from pushlane.message import MAX_ID_BYTES, Limits, check_channel_name
from pushlane.record import HEADER_BYTES, Header, from_ms, read_content, read_header
from pushlane_worker.outcome import Outcome

TIMEOUT_S = 2.0
LAST_UNKNOWN = 5
"""How many of the pushes of unknown outcome an overview names."""
PAGE = 200
"""Dead letters a round trip."""
_CONTENT_SIZES = slice(134, 147)
_GATE = ("state", "until", "cap", "reason", "changed")
_CHANNEL = ("kind", "max_queued", "rate_limit", "rate_window_ms")


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether the channel may push. ``until`` is None when no time ends it; ``cap`` is None before the first push."""

    state: str
    until: datetime | None
    reason: str
    cap: int | None
    changed: datetime | None


@dataclass(frozen=True, slots=True)
class RateUse:
    """``used`` counts pushes that ended within the window and those in flight. ``limit`` is None without a limit."""

    used: int
    limit: int | None
    window_s: int


@dataclass(frozen=True, slots=True)
class UnknownPush:
    """A push whose messages perhaps arrived. ``lost``: its worker died or froze instead of reporting an outcome."""

    at: datetime | None
    conversation: str
    message_ids: tuple[str, ...]
    detail: str
    lost: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """One channel at one moment. Counts of messages: depth, accepted, delivered; of conversations: ready to leased."""

    channel: str
    kind: str
    depth: int
    max_queued: int
    ready: int
    delayed: int
    leased: int
    gate: Gate
    rate: RateUse
    accepted: int
    delivered: int
    pushes: Mapping[str, int]
    dead_letters: int
    unknown_pushes: int
    last_unknown: tuple[UnknownPush, ...]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that will not be tried again, without what it says."""

    message_id: str
    conversation: str
    reason: str | None
    detail: str
    attempts: int
    maybe_delivered: bool
    accepted_at: datetime | None
    final_at: datetime | None


@dataclass(frozen=True, slots=True)
class Payload:
    """What a dead letter says, as its record keeps it; ``kind`` is its channel's."""

    kind: str
    conversation: str
    address: bytes
    body: bytes


class Inspector:
    """Reads on a client of its own, as a context manager; each answer within ``timeout`` or a redis.RedisError.

    Raises:
        ValueError: The address is none.
    """

    def __init__(self, redis_url: str, *, timeout: float = TIMEOUT_S) -> None:
        # Typed loosely: redis-py's types mix the replies of its blocking and its asyncio client.
        self.redis: Any = redis.Redis.from_url(
            redis_url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.redis.close()

    def channels(self) -> list[str]:
        """The registered channels, by name."""
        return sorted(name.decode() for name in self.redis.smembers(CHANNELS))

    def limits(self, channel: str) -> Limits | None:
        """What the channel takes; None when it is not registered."""
        names = ("kind", "max_text", "text_unit", "max_message_bytes")
        kind, max_text, unit, max_bytes = self.redis.hmget(_key(channel, "channel"), names)
        return None if kind is None else Limits(kind.decode(), int(max_text), unit.decode(), int(max_bytes))

    def overview(self, channel: str) -> Overview | None:
        """The channel as it stands; None when it is not registered."""
        prefix = channel_prefix(check_channel_name(channel))
        with self.redis.pipeline(transaction=True) as batch:
            batch.hmget(f"{prefix}channel", _CHANNEL).hmget(f"{prefix}gate", _GATE).hgetall(f"{prefix}counters")
            for name in ("ready", "delayed", "leases", "dead"):
                batch.zcard(f"{prefix}{name}")
            batch.llen(f"{prefix}rate").xrevrange(f"{prefix}unknown", count=LAST_UNKNOWN)
            record, gate, counters, ready, delayed, leased, dead, rate, unknown = batch.execute()
        kind, *numbers = record
        if kind is None:
            return None
        max_queued, rate_limit, window_ms = map(int, numbers)
        counts = {name.decode(): int(value) for name, value in counters.items()}
        return Overview(
            channel=channel,
            kind=kind.decode(),
            depth=counts.get("depth", 0),
            max_queued=max_queued,
            ready=ready,
            delayed=delayed,
            leased=leased,
            gate=_gate(*gate),
            rate=RateUse(rate + leased if rate_limit else 0, rate_limit or None, window_ms // 1000),
            accepted=counts.get("accepted", 0),
            delivered=counts.get("delivered", 0),
            pushes={name: counts.get(f"pushes_{name}", 0) for name in (one.name.lower() for one in Outcome)},
            dead_letters=dead,
            unknown_pushes=counts.get("pushes_unknown", 0),
            last_unknown=tuple(_unknown(fields) for _, fields in unknown),
        )

    def dead_letters(self, channel: str, limit: int) -> Iterator[DeadLetter]:
        """At most ``limit`` dead letters, the latest first."""
        for start in range(0, limit, PAGE):
            stop = min(start + PAGE, limit)
            ids = self.redis.zrevrange(_key(channel, "dead"), start, stop - 1)
            yield from self._read_dead(channel, ids)
            if len(ids) < stop - start:
                return

    def payload(self, channel: str, message_id: str) -> tuple[DeadLetter, Payload] | None:
        """A dead letter with what it says; None when there is no such dead letter."""
        kind = self.redis.hget(_key(channel, "channel"), "kind")
        record = self.redis.get(_key(channel, f"message:{message_id}"))
        if record is None or kind is None or (header := read_header(record)).state != "dead":
            return None
        conversation, address, body, detail = read_content(record)
        letter = _dead_letter(message_id, header, conversation, detail)
        return letter, Payload(kind.decode(), conversation, address, body)

    def _read_dead(self, channel: str, ids: list[bytes]) -> Iterator[DeadLetter]:
        """Reads around the payloads: they can be 64 KiB each."""
        keys = [_key(channel, f"message:{message_id.decode()}") for message_id in ids]
        heads = self._ranges((key, 0, HEADER_BYTES + MAX_ID_BYTES - 1) for key in keys)
        tails = self._ranges((key, _content_end(head), -1) for key, head in zip(keys, heads, strict=True))
        for message_id, head, tail in zip(ids, heads, tails, strict=True):
            if head:  # it may have gone since the page was read
                conversation = head[HEADER_BYTES : HEADER_BYTES + int(head[134:137])].decode()
                yield _dead_letter(message_id.decode(), read_header(head), conversation, tail.decode(errors="replace"))

    def _ranges(self, ranges: Iterator[tuple[str, int, int]]) -> list[bytes]:
        with self.redis.pipeline(transaction=False) as batch:
            for key, start, end in ranges:
                batch.getrange(key, start, end)
            return list(batch.execute())


def _key(channel: str, name: str) -> str:
    return f"{channel_prefix(check_channel_name(channel))}{name}"


def _content_end(head: bytes) -> int:
    sizes = head[_CONTENT_SIZES]
    return HEADER_BYTES + (int(sizes[:3]) + int(sizes[3:7]) + int(sizes[7:]) if sizes else 0)


def _gate(
    state: bytes | None, until: bytes | None, cap: bytes | None, reason: bytes | None, changed: bytes | None
) -> Gate:
    return Gate(
        state=(state or b"open").decode(),
        until=from_ms(int(until or 0)),
        reason=(reason or b"").decode(errors="replace"),
        cap=int(cap) if cap else None,
        changed=from_ms(int(changed or 0)),
    )


def _unknown(fields: Mapping[bytes, bytes]) -> UnknownPush:
    return UnknownPush(
        at=from_ms(int(fields[b"at"])),
        conversation=fields[b"conversation"].decode(errors="replace"),
        message_ids=tuple(fields[b"message_ids"].decode().split(",")),
        detail=fields[b"detail"].decode(errors="replace"),
        lost=fields[b"lost"] == b"1",
    )


def _dead_letter(message_id: str, header: Header, conversation: str, detail: str) -> DeadLetter:
    return DeadLetter(
        message_id=message_id,
        conversation=conversation,
        reason=header.reason,
        detail=detail,
        attempts=header.attempts,
        maybe_delivered=header.maybe_delivered,
        accepted_at=from_ms(header.accepted_ms),
        final_at=from_ms(header.final_ms),
    )
