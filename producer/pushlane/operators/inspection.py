"""Reads a channel's state for the commands, without changing anything.

A channel may hold three million messages and 100,000 conversations, so the cost of a read is constant or, with paging,
proportional to its result; nothing here scans. An overview is one transaction, so its numbers are consistent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from pushlane.clients import connect
from pushlane.cluster.blocking import Cluster
from pushlane.enqueue_protocol import LIMIT_FIELDS, check_version, read_limits
from pushlane.errors import UnknownChannel
from pushlane.keys import CHANNELS, CONSUMERS, DECISIONS_PREFIX, POSTPONED, UNFED, channel_prefix
from pushlane.message import Limits, check_channel_name
from pushlane.message_record import from_ms
from pushlane.operators.blocked import Blocked, read_blocked
from pushlane.operators.dead_letters import DeadLetters
from pushlane.outcome import Outcome
from pushlane.service.redis_requirements import Finding, server_findings

TIMEOUT_S = 2.0
LAST_UNKNOWN = 5
"""How many pushes of unknown outcome an overview lists."""
_GATE = ("state", "until", "cap", "reason", "changed", "paused")
_CHANNEL = ("version", "kind", "queue", "max_queued", "rate_limit", "rate_window_ms")


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether the channel may push: not while it is paused, otherwise by its state.

    ``until`` is None if the state has no end time; ``cap`` is None before the first push.
    """

    state: str
    until: datetime | None
    reason: str
    cap: int | None
    changed: datetime | None
    paused_since: datetime | None


@dataclass(frozen=True, slots=True)
class RateUse:
    """``used`` counts pushes in flight and those that ended within the window. ``limit`` is None without a limit."""

    used: int
    limit: int | None
    window_s: int


@dataclass(frozen=True, slots=True)
class UnknownPush:
    """A push whose messages may have arrived. ``lost``: its worker died or froze before it reported an outcome."""

    at: datetime | None
    conversation: str
    message_ids: tuple[str, ...]
    detail: str
    lost: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """One channel at one moment.

    ``depth`` (which includes ``scheduled``), ``accepted`` and ``delivered`` count messages; ``ready`` to ``blocked``
    count conversations.
    """

    channel: str
    kind: str
    queue: str
    consumed: bool
    """Whether some worker consumes its Celery queue."""
    depth: int
    max_queued: int
    scheduled: int
    ready: int
    delayed: int
    leased: int
    held: int
    blocked: int
    gate: Gate
    rate: RateUse
    accepted: int
    delivered: int
    pushes: Mapping[str, int]
    dead_letters: int
    unknown_pushes: int
    last_unknown: tuple[UnknownPush, ...]


class Inspector:
    """Reads with its own client, as a context manager; a read slower than ``timeout`` raises a redis.RedisError.

    Raises:
        ValueError: The address is invalid.
        NewerChannel: By what reads a channel's record, if a newer release has written it.
    """

    def __init__(self, redis_url: str, *, timeout: float = TIMEOUT_S) -> None:
        # Any, because redis-py's types mix the replies of its blocking and its asyncio client.
        self.redis: Any = connect(redis_url, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.redis.close()

    def findings(self) -> list[Finding]:
        """Whether the server, or each primary of the cluster, is fit to hold a queue."""
        of_cluster = isinstance(self.redis, Cluster)
        servers = self.redis.primaries() if of_cluster else [self.redis]
        found = (finding for server in servers for finding in server_findings(server.info(), of_cluster=of_cluster))
        return list(dict.fromkeys(found))

    def channels(self) -> list[str]:
        """The registered channels, by name."""
        return sorted(name.decode() for name in self.redis.smembers(CHANNELS))

    def limits(self, channel: str) -> Limits | None:
        """The channel's limits for messages; None when it is not registered."""
        return read_limits(channel, self.redis.hmget(_key(channel, "channel"), LIMIT_FIELDS))

    def require(self, channel: str) -> Limits:
        """Like ``limits``, but raises UnknownChannel when it is not registered."""
        limits = self.limits(channel)
        if limits is None:
            raise UnknownChannel(channel)
        return limits

    def overview(self, channel: str) -> Overview | None:
        """The channel's current state; None when it is not registered."""
        prefix = channel_prefix(check_channel_name(channel))
        with self.redis.pipeline(transaction=True) as batch:
            batch.hmget(f"{prefix}channel", _CHANNEL).hmget(f"{prefix}gate", _GATE).hgetall(f"{prefix}counters")
            for name in ("scheduled", "ready", "delayed", "leases", "held", "blocked", "dead"):
                batch.zcard(f"{prefix}{name}")
            batch.llen(f"{prefix}rate").xrevrange(f"{prefix}unknown", count=LAST_UNKNOWN)
            record, gate, counters, scheduled, ready, delayed, leased, held, blocked, dead, rate, unknown = (
                batch.execute()
            )
        version, kind, queue, *numbers = record
        check_version(channel, version)
        if kind is None:
            return None
        max_queued, rate_limit, window_ms = map(int, numbers)
        counts = {name.decode(): int(value) for name, value in counters.items()}
        return Overview(
            channel=channel,
            kind=kind.decode(),
            queue=queue.decode(),
            consumed=queue.decode() in self.consumed_queues(),
            depth=counts.get("depth", 0),
            max_queued=max_queued,
            scheduled=scheduled,
            ready=ready,
            delayed=delayed,
            leased=leased,
            held=held,
            blocked=blocked,
            gate=_gate(gate),
            rate=RateUse(rate + leased if rate_limit else 0, rate_limit or None, window_ms // 1000),
            accepted=counts.get("accepted", 0),
            delivered=counts.get("delivered", 0),
            pushes={name: counts.get(f"pushes_{name}", 0) for name in (one.name.lower() for one in Outcome)},
            dead_letters=dead,
            unknown_pushes=counts.get("pushes_unknown", 0),
            last_unknown=tuple(_unknown(fields) for _, fields in unknown),
        )

    def consumed_queues(self) -> set[str]:
        """The Celery queues that some worker consumes."""
        return {queue.decode() for queue in self.redis.zrange(CONSUMERS, 0, -1)}

    def count_unfed(self) -> int:
        """How many moderation decisions are not carried out yet, counted once per lane in which they wait."""
        lanes = self.redis.zrange(POSTPONED, 0, -1)
        with self.redis.pipeline(transaction=False) as batch:
            batch.zcard(UNFED)
            for lane in lanes:
                batch.zcard(f"{DECISIONS_PREFIX}lane:{lane.decode()}")
            return sum(batch.execute())

    def gate(self, channel: str) -> Gate:
        """Whether the channel may push; open if it is not registered."""
        return _gate(self.redis.hmget(_key(channel, "gate"), _GATE))

    def dead_letters(self, channel: str) -> DeadLetters:
        """The channel's dead letters, read lazily."""
        return DeadLetters(self.redis, channel)

    def blocked(self, channel: str, limit: int) -> Iterator[Blocked]:
        """At most ``limit`` conversations that cannot move, longest blocked first."""
        return read_blocked(self.redis, channel, limit)

    def count_blocked(self, channel: str) -> int:
        """How many conversations cannot move."""
        return int(self.redis.zcard(_key(channel, "blocked")))


def _key(channel: str, name: str) -> str:
    return f"{channel_prefix(check_channel_name(channel))}{name}"


def _gate(fields: Sequence[bytes | None]) -> Gate:
    state, until, cap, reason, changed, paused = fields
    return Gate(
        state=(state or b"open").decode(),
        until=from_ms(int(until or 0)),
        reason=(reason or b"").decode(errors="replace"),
        cap=int(cap) if cap else None,
        changed=from_ms(int(changed or 0)),
        paused_since=from_ms(int(paused or 0)),
    )


def _unknown(fields: Mapping[bytes, bytes]) -> UnknownPush:
    return UnknownPush(
        at=from_ms(int(fields[b"at"])),
        conversation=fields[b"conversation"].decode(errors="replace"),
        message_ids=tuple(fields[b"message_ids"].decode().split(",")),
        detail=fields[b"detail"].decode(errors="replace"),
        lost=fields[b"lost"] == b"1",
    )
