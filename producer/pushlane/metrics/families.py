"""The metrics: their names, what they say, and where their values are in what was read.

Samples are generators: a thousand channels have 35,000 of them, and the garbage collector would look at each.
Each state, outcome and reason has a sample from the start, because Prometheus does not see a counter begin at 1.
``docs/metrics.md`` has them all in a table, and a test compares it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pushlane import __version__
from pushlane.metrics.exposition import Family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from pushlane.metrics.exposition import Kind, Sample
    from pushlane.metrics.reading import Fleet
    from pushlane.operators.overview import Histogram, Overview

GATES: Final = ("open", "throttled", "broken")
"""The states of a gate."""


@dataclass(frozen=True, slots=True)
class SpoolSize:
    """What waits on disk, in the files that this process holds."""

    bytes: int
    decisions: int


def families(fleet: Fleet, spool: SpoolSize | None) -> Iterator[Family]:
    """All metrics; those of the spool only where there is one."""
    yield from _of_channels(fleet.channels)
    yield from _of_fleet(fleet)
    yield from _of_moderation(fleet)
    if spool is not None:
        yield from _of_spool(spool)
    yield _one("gauge", "pushlane_redis_up", "Whether all of Redis answered this scrape.", int(fleet.complete))
    build = [([__version__], 1)]
    yield Family("pushlane_build_info", "gauge", "The version of the process that answers.", ["version"], build)


def _of_channels(channels: Sequence[Overview]) -> Iterator[Family]:
    yield from _messages(channels)
    yield from _conversations(channels)
    yield from _pushes(channels)
    yield from _gates(channels)


def _messages(channels: Sequence[Overview]) -> Iterator[Family]:
    def each(kind: Kind, name: str, text: str, value: Callable[[Overview], float]) -> Family:
        return _each(kind, name, text, channels, value)

    yield each("counter", "pushlane_messages_accepted_total", "Messages accepted.", lambda one: one.accepted)
    yield each("counter", "pushlane_messages_delivered_total", "Messages delivered.", lambda one: one.delivered)
    yield each(
        "gauge",
        "pushlane_messages_queued",
        "Messages that wait, including scheduled and held ones.",
        lambda one: one.depth,
    )
    yield each("gauge", "pushlane_messages_scheduled", "Messages that join later.", lambda one: one.scheduled)
    yield each("gauge", "pushlane_messages_limit", "How many may wait.", lambda one: one.max_queued)
    yield each(
        "gauge",
        "pushlane_oldest_ready_age_seconds",
        "Age of the first message of the conversation that has been ready longest, 0 if none is.",
        lambda one: _age(one.at, one.oldest_ready_at),
    )
    yield each("gauge", "pushlane_dead_letters", "Dead letters now.", lambda one: one.dead_letters)
    yield _by(
        "counter",
        "pushlane_dead_lettered_total",
        "Messages that have become dead letters.",
        channels,
        "reason",
        lambda one: one.dead_lettered,
    )


def _conversations(channels: Sequence[Overview]) -> Iterator[Family]:
    def states(one: Overview) -> Mapping[str, int]:
        return {
            "ready": one.ready,
            "delayed": one.delayed,
            "leased": one.leased,
            "held": one.held,
            "blocked": one.blocked,
        }

    text = "Conversations in this state; a blocked one is also in another."
    yield _by("gauge", "pushlane_conversations", text, channels, "state", states)
    yield _each(
        "gauge",
        "pushlane_oldest_blocked_age_seconds",
        "How long the conversation that has been blocked longest has been so, 0 if none is.",
        channels,
        lambda one: _age(one.at, one.oldest_blocked_at),
    )


def _pushes(channels: Sequence[Overview]) -> Iterator[Family]:
    yield _by("counter", "pushlane_pushes_total", "Pushes.", channels, "outcome", lambda one: one.pushes)
    took = "From the start of a push to its outcome; pushes not sent, or whose worker was lost, are left out."
    yield _each("histogram", "pushlane_push_duration_seconds", took, channels, lambda one: one.push_seconds)
    size = "Messages of a push, for the same pushes."
    yield _each("histogram", "pushlane_push_messages", size, channels, lambda one: one.push_messages)


def _gates(channels: Sequence[Overview]) -> Iterator[Family]:
    def is_in(one: Overview) -> Mapping[str, int]:
        return {state: int(one.gate.state == state) for state in GATES}

    yield _by("gauge", "pushlane_gate", "1 for the state that the gate is in.", channels, "state", is_in)
    paused = "Whether an operator has paused the channel."
    yield _each("gauge", "pushlane_paused", paused, channels, lambda one: int(one.gate.paused_since is not None))
    limited = (((one.channel,), one.rate.used / one.rate.limit) for one in channels if one.rate.limit)
    text = "Share of the rate limit that is used now; only for channels with a limit."
    yield Family("pushlane_rate_used_ratio", "gauge", text, ["channel"], limited)
    info = (((one.channel, one.kind, one.queue), 1) for one in channels)
    text = "What kind of channel it is, and its Celery queue."
    yield Family("pushlane_channel_info", "gauge", text, ["channel", "kind", "queue"], info)


def _of_fleet(fleet: Fleet) -> Iterator[Family]:
    yield _one("gauge", "pushlane_registered_channels", "Channels in Redis.", fleet.registered)
    workers: list[Sample] = []
    if fleet.workers is not None:
        needed = dict.fromkeys(sorted({one.queue for one in fleet.channels}), 0)
        workers = [((queue,), count) for queue, count in {**needed, **fleet.workers}.items()]
    text = "Workers that consume a Celery queue."
    yield Family("pushlane_queue_workers", "gauge", text, ["queue"], workers)


def _of_moderation(fleet: Fleet) -> Iterator[Family]:
    names = ["policy", "verdict"]
    made = [((one.policy, one.verdict), one.seconds) for one in fleet.decisions]
    text = "Decisions, by the policy that made them; chain if none objected, on_error if none answered."
    counted = [(labels, seconds.count) for labels, seconds in made]
    yield Family("pushlane_decisions_total", "counter", text, names, counted)
    text = "From the request to the verdict."
    yield Family("pushlane_decision_duration_seconds", "histogram", text, names, made)
    unfed, lanes = fleet.unfed or (None, None)
    yield _one("gauge", "pushlane_decisions_unfed", "Decisions that are not carried out yet.", unfed)
    yield _one("gauge", "pushlane_lanes_waiting", "Lanes with effects that wait for their channel.", lanes)


def _of_spool(spool: SpoolSize) -> Iterator[Family]:
    yield _one("gauge", "pushlane_spool_bytes", "Bytes on this process's disk that wait for Redis.", spool.bytes)
    yield _one("gauge", "pushlane_spool_decisions", "Decisions there.", spool.decisions)


def _age(now: datetime, since: datetime | None) -> float:
    return max((now - since).total_seconds(), 0.0) if since else 0.0


def _one(kind: Kind, name: str, text: str, value: float | None) -> Family:
    return Family(name, kind, text, (), [] if value is None else [((), value)])


def _each(
    kind: Kind, name: str, text: str, channels: Sequence[Overview], value: Callable[[Overview], float | Histogram]
) -> Family:
    """One sample for each channel."""
    return Family(name, kind, text, ("channel",), (((one.channel,), value(one)) for one in channels))


def _by(
    kind: Kind,
    name: str,
    text: str,
    channels: Sequence[Overview],
    label: str,
    values: Callable[[Overview], Mapping[str, float]],
) -> Family:
    """One sample for each channel and each of its values."""
    samples = (((one.channel, word), value) for one in channels for word, value in values(one).items())
    return Family(name, kind, text, ("channel", label), samples)
