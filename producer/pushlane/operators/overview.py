"""One channel at one moment, as ``lua/overview.lua`` reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from pushlane.channel_record import check_version
from pushlane.message_record import REASONS, from_ms
from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

PUSH_MS: Final = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
"""The upper bounds of the durations that ``lua/lib_settle.lua`` counts; a longer push only counts for the sum."""
PUSH_MESSAGES: Final = (1, 2, 5, 10)
"""The bounds of the sizes; no kind of channel has larger batches. Scripts count each size by itself."""

_TOOK: Final = {bound / 1000: f"took_{bound}" for bound in PUSH_MS}
_SIZES: Final = [f"size_{size}" for size in range(1, PUSH_MESSAGES[-1] + 1)]
_PUSHES: Final = {outcome.name.lower(): f"pushes_{outcome.name.lower()}" for outcome in Outcome}
_DEATHS: Final = {reason: f"dead_{code}" for code, reason in REASONS.items()}


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values were at most as large as each bound, in order; the count and the sum of all."""

    buckets: Mapping[float, int]
    count: int
    sum: float


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
    at: datetime
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
    oldest_ready_at: datetime | None
    """When the head of the conversation that has been ready longest was accepted, or joined it."""
    oldest_blocked_at: datetime | None
    gate: Gate
    rate: RateUse
    accepted: int
    delivered: int
    pushes: Mapping[str, int]
    push_seconds: Histogram
    push_messages: Histogram
    dead_letters: int
    dead_lettered: Mapping[str, int]
    """How many messages have died for each reason, whatever became of their dead letters."""
    unknown_pushes: int
    last_unknown: tuple[UnknownPush, ...]


def read_overview(channel: str, reply: Sequence[Any], consumed: Collection[str]) -> Overview | None:
    """The overview in the script's reply; None if the channel is not registered.

    Raises:
        NewerChannel: A newer release has registered it.
    """
    now, record, gate, pairs, sizes, rate, oldest_ready, oldest_blocked, unknown = reply
    version, kind, queue, *numbers = record
    check_version(channel, version)
    if None in (kind, queue, *numbers):  # scripts, too, take a record that lacks something for none
        return None
    max_queued, rate_limit, window_ms = map(int, numbers)
    scheduled, ready, delayed, leased, held, blocked, dead = sizes
    counts = {name.decode(): int(value) for name, value in zip(pairs[::2], pairs[1::2], strict=True)}
    by_size = [counts.get(name, 0) for name in _SIZES]
    return Overview(
        channel=channel,
        at=datetime.fromtimestamp(now / 1000, tz=UTC),
        kind=kind.decode(),
        queue=queue.decode(),
        consumed=queue.decode() in consumed,
        depth=counts.get("depth", 0),
        max_queued=max_queued,
        scheduled=scheduled,
        ready=ready,
        delayed=delayed,
        leased=leased,
        held=held,
        blocked=blocked,
        oldest_ready_at=from_ms(oldest_ready),
        oldest_blocked_at=from_ms(oldest_blocked),
        gate=read_gate(gate),
        rate=RateUse(rate + leased if rate_limit else 0, rate_limit or None, window_ms // 1000),
        accepted=counts.get("accepted", 0),
        delivered=counts.get("delivered", 0),
        pushes={outcome: counts.get(name, 0) for outcome, name in _PUSHES.items()},
        push_seconds=_durations(counts, sum(by_size)),
        push_messages=_batch_sizes(by_size),
        dead_letters=dead,
        dead_lettered={reason: counts.get(name, 0) for reason, name in _DEATHS.items()},
        unknown_pushes=counts.get("pushes_unknown", 0),
        last_unknown=tuple(_unknown(dict(zip(entry[::2], entry[1::2], strict=True))) for _, entry in unknown),
    )


def read_gate(fields: Sequence[bytes | None]) -> Gate:
    """The gate of these fields: state, until, cap, reason, changed and paused."""
    state, until, cap, reason, changed, paused = fields
    return Gate(
        state=(state or b"open").decode(),
        until=from_ms(int(until or 0)),
        reason=(reason or b"").decode(errors="replace"),
        cap=int(cap) if cap else None,
        changed=from_ms(int(changed or 0)),
        paused_since=from_ms(int(paused or 0)),
    )


def _durations(counts: Mapping[str, int], pushes: int) -> Histogram:
    within = accumulate(counts.get(name, 0) for name in _TOOK.values())
    return Histogram(dict(zip(_TOOK, within, strict=True)), pushes, counts.get("took_ms", 0) / 1000)


def _batch_sizes(pushes: Sequence[int]) -> Histogram:
    """``pushes`` by size, from 1."""
    within: dict[float, int] = {bound: sum(pushes[:bound]) for bound in PUSH_MESSAGES}
    return Histogram(within, sum(pushes), sum(size * count for size, count in enumerate(pushes, 1)))


def _unknown(fields: Mapping[bytes, bytes]) -> UnknownPush:
    return UnknownPush(
        at=from_ms(int(fields[b"at"])),
        conversation=fields[b"conversation"].decode(errors="replace"),
        message_ids=tuple(fields[b"message_ids"].decode().split(",")),
        detail=fields[b"detail"].decode(errors="replace"),
        lost=fields[b"lost"] == b"1",
    )
