"""What a storm leaves behind, as the judges read it: what was asked for, what the API has seen, and what Redis says.

All times are seconds of this machine's clock since the epoch, which Redis shares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Hold:
    """What a message was held for."""

    key: str
    timeout_s: float
    releases: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """A message that a producer asked for. ``receipts``: sequence and duplicate of each answer, in their order."""

    id: str
    channel: str
    conversation: str
    text: str
    flow: str
    asked_at: float
    due: float | None = None
    expires_s: float | None = None
    hold: Hold | None = None
    receipts: Sequence[tuple[int, bool]] = ()
    """Of the call that enqueued it."""
    repeats: Sequence[tuple[int, bool]] = ()
    """Of later calls under the same key."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision that was asked for; ``text`` is what a rewrite makes of the message."""

    verdict: str
    asked_at: float


@dataclass(frozen=True, slots=True)
class Cancel:
    """A cancel that was answered."""

    message_id: str
    answered_at: float
    result: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message at the API, in the order of its effects."""

    channel: str
    conversation: str
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Push:
    """One request at the API, from its last byte to its answer; without one ``ended`` is when it came."""

    channel: str
    came: float
    ended: float
    texts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Strike:
    """A push that a fault of the API's struck."""

    at: float
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Record:
    """A message's record in Redis at the end; times are 0 for never."""

    channel: str
    conversation: str
    state: str
    reason: str | None
    detail: str
    maybe_delivered: bool
    attempts: int
    sequence: int
    accepted: float
    joined: float
    final: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """A listed push of unknown outcome."""

    channel: str
    at: float
    ids: Sequence[str]
    lost: bool


@dataclass(frozen=True, slots=True)
class Replay:
    """Dead letters that an operator put back, or tried to."""

    asked_at: float
    ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault as it struck."""

    at: float
    kind: str
    target: str
    begins: bool


@dataclass(frozen=True, slots=True)
class End:
    """A worker's end; ``asked`` is what the storm did to it: kill, terminate, or nothing.

    Before it is ``ready`` a SIGTERM ends it as it would any program: it has not claimed anything yet.
    """

    worker: str
    code: int
    asked: str
    ready: bool = True


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it."""

    on_unknown: str = "retry"
    rate: tuple[int, float] = (40, 2.0)
    messages: Mapping[str, Asked] = field(default_factory=dict)
    """By id."""
    decisions: Mapping[str, Sequence[Decision]] = field(default_factory=dict)
    """By key of the hold."""
    conflicts: Sequence[str] = ()
    """Texts that were asked for under a key in use, and must not be accepted."""
    refusals: Sequence[str] = ()
    """What producers were refused that they should not have been."""
    cancels: Sequence[Cancel] = ()
    arrivals: Sequence[Arrival] = ()
    pushes: Sequence[Push] = ()
    strikes: Sequence[Strike] = ()
    truncations: Sequence[tuple[float, str]] = ()
    """When a link passed on half of an answer, and its name."""
    standstills: Sequence[tuple[float, float]] = ()
    """From when to when the API or the links did nothing, for want of processor or disk."""
    records: Mapping[str, Record] = field(default_factory=dict)
    unknown: Sequence[Unknown] = ()
    counters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By channel."""
    leftovers: Sequence[str] = ()
    """Keys that should be gone when everything is final, and keys that would stay for ever."""
    skipped: Sequence[tuple[str, str]] = ()
    """Channel and conversation of each skip that an operator asked for."""
    replays: Sequence[Replay] = ()
    struck: Sequence[Struck] = ()
    ends: Sequence[End] = ()
    overdue: Sequence[str] = ()
    """Workers that did not end when they were told to, producers that failed."""
    tracebacks: Sequence[str] = ()
    """Log and last line of each traceback."""
    finished: bool = True
    """Whether the queue became empty."""


REWRITTEN = " rewritten"
