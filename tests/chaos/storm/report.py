"""What a storm prints: its seed, its plan, figures, and what the judges found."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from chaos.storm.evidence import REWRITTEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chaos.storm.evidence import Evidence

SHOWN: Final = 8
"""So many problems of each judge are printed; the evidence has them all."""


def figures(evidence: Evidence) -> Iterator[str]:
    """One line each."""
    states = Counter(one.state for one in evidence.records.values())
    acknowledged = sum(bool(one.receipts) for one in evidence.messages.values())
    copies = Counter(arrival.text.removesuffix(REWRITTEN) for arrival in evidence.arrivals)
    doubts = Counter(message_id for push in evidence.unknown for message_id in push.ids)
    explained = sum(
        copies[one.text] - 1 for one in evidence.messages.values() if copies[one.text] > 1 and doubts[one.id]
    )
    reasons = Counter(str(one.reason) for one in evidence.records.values() if one.state == "dead")
    lost = sum(push.lost for push in evidence.unknown)
    asked = len(evidence.messages)
    yield f"asked for      {asked:,} messages, {acknowledged:,} acknowledged, {states.total():,} accepted"
    yield f"ended as       {_counts(states)}"
    yield f"dead           {_counts(reasons)}"
    arrived, pushes = len(evidence.arrivals), len(evidence.pushes)
    yield f"at the API     {arrived:,} arrivals of {len(copies):,} messages in {pushes:,} pushes"
    yield f"duplicates     {arrived - len(copies):,}, {explained:,} explained"
    yield f"unknown pushes {len(evidence.unknown):,} listed, {lost:,} of them leases that ran out"
    yield f"cancels        {_counts(Counter(one.result for one in evidence.cancels))}"
    yield f"workers        {_counts(Counter(end.asked or 'by itself' for end in evidence.ends))}"
    yield f"struck         {_counts(Counter(one.kind for one in evidence.struck if one.begins))}"


def verdict(problems: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What each judge found."""
    for name, found in problems.items():
        yield f"{name}: {len(found)} found"
        yield from (f"  {one}" for one in found[:SHOWN])
        if len(found) > SHOWN:
            yield f"  and {len(found) - SHOWN} more"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counter.most_common()) or "none"
