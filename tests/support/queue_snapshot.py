"""Everything that a channel holds in Redis, and what can be claimed of it: judged in Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.queue_replies import scheduled_id, texts

from pushlane.keys import BELL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from support.queue import Queue

TICKET_MS = 1000
LISTEN_MS = 250
CAP_AT_START = 4
LONGEST_THROTTLE_MS = 60_000
LONGEST_PROBE_MS = 30_000
TRACE = ":trace"


@dataclass(frozen=True)
class Snapshot:
    """A channel at one moment."""

    now: int
    channel: Mapping[str, str]
    lists: Mapping[str, Sequence[str]]
    pushes: Mapping[str, Sequence[str]]
    """Flags and ids of the listed pushes of each conversation."""
    ready: frozenset[str]
    delayed: Mapping[str, int]
    leases: Mapping[str, int]
    held: Mapping[str, int]
    scheduled: Mapping[str, int]
    blocked: Mapping[str, int]
    blocked_by: Mapping[str, str]
    claims: Mapping[str, str]
    gate: Mapping[str, str]
    counters: Mapping[str, int]
    rate: Sequence[int]
    pending: int | None
    listeners: Mapping[str, int]
    rung: bool
    dead: frozenset[str]
    records: Mapping[str, tuple[bytes, bytes]]
    """Record and details of each message."""
    details: frozenset[str]
    """The messages that have any."""
    traces: Mapping[str, str]
    """The trace context of each message that has one."""
    keys: frozenset[str]

    def places(self, conversation: str) -> list[str]:
        """Which of ready, delayed, leases and held have the conversation."""
        where = {"ready": self.ready, "delayed": self.delayed, "leases": self.leases, "held": self.held}
        return [name for name, conversations in where.items() if conversation in conversations]

    def claimable(self) -> bool:
        """Whether a turn with a free place would claim something now, or drop what has expired."""
        waits = self.ready or any(due <= self.now for due in (*self.delayed.values(), *self.scheduled.values()))
        return bool(waits) and self._gate_room() > 0 and self._rate_room() > 0

    def somebody_looks(self) -> bool:
        """Whether a ring is in the bell or on its way, or a drain with a free place looks by itself."""
        on_its_way = self.pending is not None and 0 <= self.now - self.pending < TICKET_MS
        listens = any(self.now < until <= self.now + LISTEN_MS for until in self.listeners.values())
        return self.rung or on_its_way or listens

    def _number(self, name: str) -> int:
        return int(self.channel[name])

    def _gate_room(self) -> int:
        if "paused" in self.gate:
            return 0
        wait = int(self.gate.get("until", 0)) - self.now
        if self.gate.get("state") == "broken":
            void = wait > max(self._number("breaker_cap_ms"), LONGEST_PROBE_MS)
            in_doubt = int(self.gate.get("doubts", 0)) > 0
            return int(self.gate["probe"] == "" and (wait <= 0 or void or in_doubt))
        cap = int(self.gate.get("cap", CAP_AT_START))
        if self.gate.get("state") == "throttled":
            if 0 < wait <= max(self._number("retry_after_cap_ms"), LONGEST_THROTTLE_MS):
                return 0
            cap = CAP_AT_START
        if failures := int(self.gate.get("failures", 0)):
            cap = min(cap, max(self._number("breaker_after") - failures, 1))
        pushing = sum(until > self.now + self._number("lease_rest_ms") for until in self.leases.values())
        return cap - pushing

    def _rate_room(self) -> int:
        window, ended = self._number("rate_window_ms"), list(self.rate)
        while ended and ended[0] <= self.now - int(self.gate.get("stepped", 0)) - window:
            ended.pop(0)
        return self._number("rate_limit") - len(ended) - len(self.leases)


def take(queue: Queue, conversations: Iterable[str]) -> Snapshot:
    """The channel as it is."""
    conversations = list(conversations)
    pipe, prefix = queue.redis.pipeline(transaction=True), queue.prefix
    for name in ("channel", "gate", "counters", "claims", "blocked_by", "details"):
        pipe.hgetall(prefix + name)
    for name in ("delayed", "leases", "held", "listeners", "scheduled", "blocked"):
        pipe.zrange(prefix + name, 0, -1, withscores=True)
    for name in ("ready", "dead"):
        pipe.zrange(prefix + name, 0, -1)
    pipe.lrange(prefix + "rate", 0, -1)
    pipe.get(prefix + "pending")
    pipe.zscore(BELL, queue.channel)
    for conversation in conversations:
        pipe.lrange(f"{prefix}conversation:{conversation}", 0, -1)
    for conversation in conversations:
        pipe.lrange(f"{prefix}pushes:{conversation}", 0, -1)
    channel, gate, counters, claims, blocked_by, details, *rest = pipe.execute()
    delayed, leases, held, listeners, scheduled, blocked, *rest = rest
    ready, dead, rate, pending, rung, *lists = rest
    return Snapshot(
        now=queue.now,
        channel=texts(channel),
        lists={name: _names(listed) for name, listed in zip(conversations, lists, strict=False)},
        pushes={
            name: [" ".join(entry.split(" ")[2:4]) for entry in _names(listed)]
            for name, listed in zip(conversations, lists[len(conversations) :], strict=True)
        },
        ready=frozenset(_names(ready)),
        delayed=_scores(delayed),
        leases=_scores(leases),
        held=_scores(held),
        scheduled={scheduled_id(member): due for member, due in _scores(scheduled).items()},
        blocked=_scores(blocked),
        blocked_by=texts(blocked_by),
        claims={name: claim.split(" ")[0] for name, claim in texts(claims).items()},
        gate=texts(gate),
        counters={name: int(value) for name, value in texts(counters).items()},
        rate=[int(ended) for ended in rate],
        pending=None if pending is None else int(pending),
        listeners=_scores(listeners),
        rung=rung is not None,
        dead=frozenset(_names(dead)),
        records={name: queue.found(name) for name in queue.messages},
        details=frozenset(name for name in _names(details) if not name.endswith(TRACE)),
        traces={name.removesuffix(TRACE): value for name, value in texts(details).items() if name.endswith(TRACE)},
        # It expires after 250 ms of the server's own time, at any moment of a test.
        keys=frozenset(_names(queue.redis.keys("*"))) - {f"{prefix}wake"},
    )


def _names(raw: Iterable[bytes]) -> list[str]:
    return [name.decode() for name in raw]


def _scores(raw: Iterable[tuple[bytes, float]]) -> dict[str, int]:
    return {name.decode(): round(score) for name, score in raw}
