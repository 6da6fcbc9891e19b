"""What failovers did: what replication lost by its nature, and what nothing excuses."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from chaos.storm import fate, order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from chaos.storm.evidence import Evidence

BACK_WITHIN_S: Final = 5.0
LAG_S: Final = 1.0
"""A write that is older has reached the replicas: they are on the same machine."""
_JUDGES: Final[Mapping[str, Callable[[Evidence], Iterable[str]]]] = {
    "lost": fate.lost,
    "invented": fate.invented,
    "order": order.disorder,
    "duplicates": fate.doubled,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was done to the servers.

    Attributes:
        kind: Its name.
        at: Seconds of this machine's clock.
        loses_for_s: How long afterwards the old primary may accept writes that are lost; None if it loses none.
    """

    kind: str
    at: float
    loses_for_s: float | None = None

    def may_lose(self, at: float) -> bool:
        """Whether it may have lost what was written at that time."""
        return self.loses_for_s is not None and self.at - LAG_S <= at <= self.at + self.loses_for_s


@dataclass(frozen=True, slots=True)
class Row:
    """What became of the messages that were acknowledged from a fault to the next one."""

    kind: str
    outage_s: float
    """The longest time without a delivery."""
    accepted: int
    delivered: int
    lost: int
    """Acknowledged, never at the API, and unknown to Redis."""
    duplicates: int
    unknown: int
    """Duplicates that a listed push of unknown outcome explains."""
    slowest_s: float
    """From a message's acknowledgement to its delivery."""


class Verdict:
    """The figures of a run, and what is wrong with it; the load ended at ``ended``."""

    def __init__(
        self, evidence: Evidence, acknowledged: Mapping[str, float], faults: Sequence[Fault], ended: float
    ) -> None:
        self._evidence = evidence
        self._acknowledged = acknowledged
        self._faults = faults
        self._times = [arrival.at for arrival in evidence.arrivals if arrival.at <= ended] + [ended]
        self._first = fate.first_arrivals(evidence)
        self._copies = Counter(arrival.text for arrival in evidence.arrivals)
        self._doubts = Counter(message_id for push in evidence.unknown for message_id in push.ids)

    def rows(self) -> list[Row]:
        """One for the time before the first fault, and one for each fault."""
        begins = [Fault("none", float("-inf")), *self._faults]
        ends = [fault.at - LAG_S for fault in self._faults]
        spans = zip(begins, [float("-inf"), *ends], [*ends, float("inf")], strict=True)
        return [self._row(fault, begin, end) for fault, begin, end in spans]

    def _row(self, fault: Fault, begin: float, end: float) -> Row:
        ids = [one for one, at in self._acknowledged.items() if begin <= at < end]
        extra = {one: max(self._copies[self._text(one)] - 1, 0) for one in ids}
        return Row(
            kind=fault.kind,
            outage_s=self._longest_pause(fault.at, end),
            accepted=len(ids),
            delivered=sum(self._text(one) in self._first for one in ids),
            lost=sum(self._is_lost(one) for one in ids),
            duplicates=sum(extra.values()),
            unknown=sum(min(count, self._doubts[one]) for one, count in extra.items()),
            slowest_s=max((self._wait(one) for one in ids), default=0.0),
        )

    def _text(self, message_id: str) -> str:
        return self._evidence.messages[message_id].text

    def _wait(self, message_id: str) -> float:
        arrival = self._first.get(self._text(message_id))
        return 0.0 if arrival is None else arrival.at - self._acknowledged[message_id]

    def _is_lost(self, message_id: str) -> bool:
        return message_id not in self._evidence.records and self._text(message_id) not in self._first

    def _longest_pause(self, begin: float, end: float) -> float:
        """Of the deliveries, as far as it is after the beginning; it may end later than the span."""
        pauses = [late - max(early, begin) for early, late in pairwise(self._times) if late > begin and early < end]
        return max(pauses, default=0.0)

    def problems(self) -> Iterator[str]:
        """Whatever is not what replication loses by its nature."""
        for row in self.rows()[1:]:
            if row.outage_s > BACK_WITHIN_S:
                yield f"outage: {row.outage_s:.1f} s after {row.kind}"
        kept = {one: asked for one, asked in self._evidence.messages.items() if not self._is_excused(one)}
        excused = {self._text(one) for one in self._evidence.messages.keys() - kept.keys()}
        arrivals = [arrival for arrival in self._evidence.arrivals if arrival.text not in excused]
        records = {one: record for one, record in self._evidence.records.items() if one in kept}
        judged = replace(self._evidence, messages=kept, arrivals=arrivals, records=records)
        for name, judge in _JUDGES.items():
            yield from (f"{name}: {problem}" for problem in judge(judged))

    def _is_excused(self, message_id: str) -> bool:
        """Whether its acknowledgement, or what was known of its delivery, may be lost by replication."""
        arrival = self._first.get(self._text(message_id))
        forgotten = message_id not in self._evidence.records
        written = [self._acknowledged[message_id]] if forgotten else []
        if arrival is not None and (forgotten or self._copies[arrival.text] > 1 + self._doubts[message_id]):
            written.append(arrival.at)
        return any(fault.may_lose(at) for fault in self._faults for at in written)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The rows as lines of text."""
    names = ("outage s", "slowest s", "accepted", "delivered", "lost", "duplicates", "unknown")
    yield f"{'fault':<24}" + "".join(f"{name:>11}" for name in names)
    for row in rows:
        times = (f"{row.outage_s:.2f}", f"{row.slowest_s:.2f}")
        counts = (row.accepted, row.delivered, row.lost, row.duplicates, row.unknown)
        yield f"{row.kind:<24}" + "".join(f"{cell:>11}" for cell in (*times, *(f"{count:,}" for count in counts)))
