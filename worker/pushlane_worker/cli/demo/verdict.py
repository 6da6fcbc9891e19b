"""The demo's result: the fake API's record compared with the receipts. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pushlane.receipt import Receipt
from pushlane_worker.fake_api.reports import Summary

OK = 200


@dataclass(frozen=True, slots=True)
class Verdict:
    """Numbers from the API's record, except ``accepted`` (receipts) and ``dead_letters`` (the queue's count)."""

    accepted: int
    delivered: int
    pushes: int
    messages_per_push: float
    retries: int
    dead_letters: int
    duplicates: int
    order_breaks: int
    messages_per_s: float
    missing: int
    strangers: int

    def problems(self) -> list[str]:
        """What went wrong; nothing if every message arrived once and in order."""
        counts = (
            (self.missing, f"of {self.accepted:,} accepted messages never arrived"),
            (self.dead_letters, "dead letters"),
            (self.duplicates, "duplicate arrivals"),
            (self.order_breaks, "arrivals out of the order of Receipt.sequence"),
            (self.strangers, "arrivals of messages that were not sent"),
        )
        return [f"{count:,} {what}" for count, what in counts if count]

    def rows(self) -> Mapping[str, str]:
        """The rows of the table."""
        return {
            "accepted (receipts)": f"{self.accepted:,}",
            "delivered": f"{self.delivered:,}",
            "pushes": f"{self.pushes:,}",
            "messages a push": f"{self.messages_per_push:.1f}",
            "retries (pushes answered 503)": f"{self.retries:,}",
            "dead letters (the queue's count)": f"{self.dead_letters:,}",
            "duplicates": f"{self.duplicates:,}",
            "order breaks by Receipt.sequence": f"{self.order_breaks:,}",
            "messages a second": f"{self.messages_per_s:,.0f}",
        }


def judge(
    receipts: Mapping[str, Receipt], arrivals: Mapping[str, Sequence[str]], summary: Summary, dead_letters: int
) -> Verdict:
    """The verdict on the receipts by text (every text is unique) and the texts that each room accepted, in order."""
    arrived = [(room, text) for room, texts in arrivals.items() for text in texts]
    own = {text for room, text in arrived if text in receipts and receipts[text].conversation == room}
    taken = summary.by_status.get(OK, 0)
    return Verdict(
        accepted=len(receipts),
        delivered=len(own),
        pushes=summary.pushes,
        messages_per_push=summary.accepted / taken if taken else 0.0,
        retries=summary.pushes - taken,
        dead_letters=dead_letters,
        duplicates=len(arrived) - len(set(arrived)),
        order_breaks=sum(order_breaks(texts, receipts) for texts in arrivals.values()),
        messages_per_s=_per_second(summary),
        missing=len(receipts) - len(own),
        strangers=len(set(arrived)) - len(own),
    )


def order_breaks(texts: Sequence[str], receipts: Mapping[str, Receipt]) -> int:
    """How many texts of a room first arrived after one that was accepted later."""
    breaks, highest = 0, 0
    for text in dict.fromkeys(texts):
        if text in receipts:
            breaks += receipts[text].sequence < highest
            highest = max(highest, receipts[text].sequence)
    return breaks


def _per_second(summary: Summary) -> float:
    if summary.first_accept_ms is None or summary.last_accept_ms is None:
        return 0.0
    return summary.accepted * 1000 / max(summary.last_accept_ms - summary.first_accept_ms, 1)
