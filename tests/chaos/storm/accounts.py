"""Receipts, counters, keys, processes and logs: what must add up once everything is final."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos.storm.evidence import Evidence

LISTED: Final = 10_000
LOSES_LEASES: Final = frozenset(
    [
        "kill_worker",
        "kill_child",
        "stop_worker",
        "terminate_worker",
        "cut",
        "stall",
        "delay",
        "truncate",
        "kill_redis",
        "freeze_redis",
    ]
)
"""A cut or stalled link to Redis keeps a drain from settling for as long as its lease."""


def receipts(evidence: Evidence) -> Iterator[str]:
    """Repeats get the first answer, no two messages one number, and one flow's calls keep their order."""
    numbers: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    latest: dict[tuple[str, str], tuple[int, str]] = {}
    for one in sorted(evidence.messages.values(), key=lambda one: one.asked_at):
        answers = {sequence for sequence, _ in (*one.receipts, *one.repeats)}
        if len(answers) > 1:
            yield f"{one.text} has several numbers: {sorted(answers)}"
        if any(not duplicate for _, duplicate in one.repeats):
            yield f"{one.text} was accepted once more under its key"
        for sequence in answers:
            numbers[one.channel, sequence].append(one.text)
        for sequence in sorted(answers)[:1]:
            before = latest.get((one.flow, one.channel), (0, ""))
            if sequence < before[0]:
                yield f"{one.text} was sent after {before[1]} and has a smaller number"
            latest[one.flow, one.channel] = max(before, (sequence, one.text))
    for (channel, sequence), texts in numbers.items():
        if len(texts) > 1:
            yield f"{', '.join(texts)} have the same number {sequence} of {channel}"
    yield from (f"a producer was refused: {error}" for error in evidence.refusals)


def counters(evidence: Evidence) -> Iterator[str]:
    """The counters say what the records say."""
    if not evidence.finished:
        yield "the queue did not become empty"
    for channel, counted in evidence.counters.items():
        states = Counter(one.state for one in evidence.records.values() if one.channel == channel)
        listed = sum(push.channel == channel for push in evidence.unknown)
        expected = {
            "depth": 0,
            "accepted": states.total(),
            "delivered": states["delivered"],
            "cancelled": states["cancelled"],
            "listed_dead": states["dead"],
        }
        for name, number in expected.items():
            if counted.get(name, 0) != number:
                yield f"{channel}: {name} is {counted.get(name, 0)}, and not {number}"
        died = counted.get("dead", 0) - counted.get("replayed", 0)
        if died != states["dead"]:
            yield f"{channel}: {died} died and were not put back, and {states['dead']} are dead"
        if listed < LISTED and counted.get("pushes_unknown", 0) != listed:
            yield f"{channel}: {counted.get('pushes_unknown', 0)} pushes are unknown, {listed} are listed"


def leases(evidence: Evidence) -> Iterator[str]:
    """A lease runs out only where a worker was struck, or its way to Redis."""
    lost = sum(push.lost for push in evidence.unknown)
    if lost and not any(one.kind in LOSES_LEASES for one in evidence.struck):
        yield f"{lost} leases ran out, though nothing kept any worker from settling"


def residue(evidence: Evidence) -> Iterator[str]:
    """Nothing is left of the queue's machinery."""
    yield from (f"{key} is left over" for key in evidence.leftovers)


def processes(evidence: Evidence) -> Iterator[str]:
    """Nobody ended by himself, and who was told to end did so in time with exit code 0."""
    for end in evidence.ends:
        if not end.asked:
            yield f"{end.worker} ended by itself, with {end.code}"
        elif end.asked == "terminate" and end.ready and end.code:
            yield f"{end.worker} was told to end and did so with {end.code}"
    yield from evidence.overdue


def logs(evidence: Evidence) -> Iterator[str]:
    """No log has a traceback."""
    yield from evidence.tracebacks
