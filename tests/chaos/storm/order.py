"""The order of first arrivals in each conversation: the one in which the messages entered it.

A message enters at its acceptance, also one that is held; a scheduled one when it joins; a replayed one when it was put
back. Within a millisecond messages of the same sort enter by sequence, and those of different sorts in any order.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaos.storm.fate import first_arrivals, listed_by_message
from chaos.storm.options import PUSH_DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos.storm.evidence import Arrival, Asked, Evidence, Record


@dataclass(frozen=True, slots=True)
class _Entry:
    text: str
    entered: float
    sort: str
    within: tuple[float, int]


def disorder(evidence: Evidence) -> Iterator[str]:
    """Messages that arrived first after one that had entered later."""
    conversations: defaultdict[tuple[str, str], list[_Entry]] = defaultdict(list)
    by_text = {one.text: one for one in evidence.messages.values()}
    listed = listed_by_message(evidence)
    for text, arrival in first_arrivals(evidence).items():
        asked = by_text.get(text)
        record = evidence.records.get(asked.id) if asked else None
        if asked and record and (entry := _entry(evidence, asked, record, arrival, listed.get(asked.id, []))):
            conversations[asked.channel, asked.conversation].append(entry)
    for (channel, conversation), entries in conversations.items():
        for early, late in _breaks(entries):
            yield f"{channel} {conversation}: {late.text} entered before {early.text} and arrived after it"


def _entry(evidence: Evidence, asked: Asked, record: Record, arrival: Arrival, listed: list[float]) -> _Entry | None:
    runs = [run.asked_at for run in evidence.replays if asked.id in run.ids]
    doubts = [at for at in listed if at <= arrival.at]
    if runs and arrival.at >= min(runs):
        # Put back more than once, or perhaps a late effect of a push before that: nobody knows its place any more.
        known = len(runs) == 1 and arrival.at >= record.joined and not doubts
        return _Entry(asked.text, record.joined, "replayed", (record.sequence, 0)) if known else None
    rests_s = PUSH_DEADLINE_S if evidence.on_unknown == "dead_letter" else 0.0
    if (record.state != "delivered" or runs) and any(arrival.at >= at + rests_s for at in doubts):
        return None  # a late effect of a push that had been given up, later than its followers wait for it
    if asked.due is None or asked.due <= record.accepted:
        return _Entry(asked.text, record.accepted, "plain", (record.sequence, 0))
    if runs:
        return None  # its record tells when it was put back, and no more when it joined
    return _Entry(asked.text, record.joined, "scheduled", (asked.due, record.sequence))


def _breaks(entries: list[_Entry]) -> Iterator[tuple[_Entry, _Entry]]:
    """Each entry that arrived after one that should have followed it; in the order of arrival."""
    latest: _Entry | None = None
    of_sort: dict[str, _Entry] = {}
    for entry in entries:
        before = of_sort.get(entry.sort)
        if latest is not None and entry.entered < latest.entered:
            yield latest, entry
        elif before is not None and (entry.entered, entry.within) < (before.entered, before.within):
            yield before, entry
        if latest is None or entry.entered > latest.entered:
            latest = entry
        if before is None or (entry.entered, entry.within) > (before.entered, before.within):
            of_sort[entry.sort] = entry
