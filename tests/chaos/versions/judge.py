"""The judges of an upgrade: those of a storm, with what this tree's commands cannot tell left out."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chaos.storm import accounts, fate, order
from chaos.storm.evidence import REWRITTEN
from chaos.storm.judge import JUDGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from chaos.storm.evidence import Arrival, Evidence

_CONFLICT: Final = re.compile(r"old: IdempotencyConflict: .* \((\w+)\)")


def disorder(evidence: Evidence) -> Iterable[str]:
    """Without scheduled messages: no status tells when one has joined its conversation."""
    unscheduled = {name: one for name, one in evidence.messages.items() if one.due is None}
    return order.disorder(replace(evidence, messages=unscheduled))


def doubled(evidence: Evidence) -> Iterable[str]:
    """Copies that no listed push explains; all of them may be those of pushes that the watch has missed."""
    missed = sum(counted["pushes_unknown"] for counted in evidence.counters.values()) - len(evidence.unknown)
    return fate.doubled(evidence) if len(_unexplained(evidence)) > missed else ()


def _unexplained(evidence: Evidence) -> set[tuple[str, float]]:
    """The pushes that brought copies which no listed push explains: a room and a time each."""
    doubts = Counter(message_id for push in evidence.unknown for message_id in push.ids)
    arrivals = _arrivals(evidence)
    found = set()
    for one in evidence.messages.values():
        record = evidence.records.get(one.id)
        allowed = doubts[one.id] + (record is not None and record.state == "delivered")
        excess = max(len(arrivals[one.text]) - allowed, 0)
        found |= {(arrival.conversation, arrival.at) for arrival in arrivals[one.text][:excess]}
    return found


def _arrivals(evidence: Evidence) -> Mapping[str, list[Arrival]]:
    found: defaultdict[str, list[Arrival]] = defaultdict(list)
    for arrival in evidence.arrivals:
        found[arrival.text.removesuffix(REWRITTEN)].append(arrival)
    return found


def attempts(evidence: Evidence) -> Iterator[str]:
    """Nothing arrived more often than pushes of it count."""
    arrivals = _arrivals(evidence)
    for one in evidence.messages.values():
        record = evidence.records.get(one.id)
        if record is not None and len(arrivals[one.text]) > record.attempts:
            yield f"{one.text} arrived {len(arrivals[one.text])} times, and {record.attempts} pushes of it count"


def receipts(evidence: Evidence) -> Iterable[str]:
    """Without an old producer's conflicts over its own messages: it cannot read what a new worker has changed."""
    refusals = [one for one in evidence.refusals if not _is_over_its_own(evidence, one)]
    return accounts.receipts(replace(evidence, refusals=refusals))


def _is_over_its_own(evidence: Evidence, refusal: str) -> bool:
    conflict = _CONFLICT.fullmatch(refusal)
    own = evidence.messages.get(conflict[1]) if conflict else None
    return own is not None and own.flow == "flow-old" and bool(own.receipts)


def counters(evidence: Evidence) -> Iterable[str]:
    """Without the number of pushes of unknown outcome, some of which the watch may have missed."""
    listed = {
        channel: {**counted, "pushes_unknown": sum(push.channel == channel for push in evidence.unknown)}
        for channel, counted in evidence.counters.items()
    }
    return accounts.counters(replace(evidence, counters=listed))


_OWN: Final[Mapping[str, Callable[[Evidence], Iterable[str]]]] = {
    "order": disorder,
    "duplicates": doubled,
    "attempts": attempts,
    "receipts": receipts,
    "counters": counters,
}


def judge(evidence: Evidence) -> dict[str, Sequence[str]]:
    """The problems that each judge found, without those that found none."""
    found = {name: list(look(evidence)) for name, look in {**JUDGES, **_OWN}.items()}
    return {name: problems for name, problems in found.items() if problems}
