"""What became of each message: delivered, cancelled, or dead for a reason that its history allows."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from chaos.storm.api import POISON
from chaos.storm.evidence import REWRITTEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos.storm.evidence import Arrival, Asked, Evidence, Record

CLOCK_S = 0.002
"""Redis's clock is cut to whole ms."""


def lost(evidence: Evidence) -> Iterator[str]:
    """What was acknowledged is in Redis, and final; what is delivered has arrived."""
    first = first_arrivals(evidence)
    for one in evidence.messages.values():
        record = evidence.records.get(one.id)
        if record is None:
            if one.receipts:
                yield f"{one.text} was accepted and is gone"
        elif record.state not in {"delivered", "cancelled", "dead"}:
            yield f"{one.text} is {record.state} still"
        elif record.state == "delivered" and one.text not in first:
            yield f"{one.text} counts as delivered and never arrived"
        elif record.state == "delivered" and first[one.text].at > record.final + CLOCK_S:
            yield f"{one.text} counted as delivered {first[one.text].at - record.final:.3f} s before it arrived"
    for message_id in evidence.records.keys() - evidence.messages.keys():
        yield f"{message_id} is in Redis and nobody asked for it"


def invented(evidence: Evidence) -> Iterator[str]:
    """Every arrival was asked for: its channel, its conversation, its text, after any decision or hold."""
    by_text = {one.text: one for one in evidence.messages.values()}
    for arrival in evidence.arrivals:
        asked = by_text.get(arrival.text.removesuffix(REWRITTEN))
        if asked is None:
            yield f"{arrival.text!r} arrived and nobody asked for it"
        elif (asked.channel, asked.conversation) != (arrival.channel, arrival.conversation):
            yield f"{arrival.text} arrived in {arrival.conversation}, not in {asked.conversation}"
        elif problem := _wrong_time(evidence, asked, arrival):
            yield f"{arrival.text} arrived {problem}"
    for text in evidence.conflicts:
        if any(arrival.text == text for arrival in evidence.arrivals):
            yield f"{text} arrived, though its key was another message's"


def _wrong_time(evidence: Evidence, asked: Asked, arrival: Arrival) -> str:
    record = evidence.records.get(asked.id)
    accepted = record.accepted if record else asked.asked_at
    if arrival.at < asked.asked_at:
        return "before it was asked for"
    if asked.due is not None and arrival.at < asked.due - CLOCK_S:
        return "before its time"
    if asked.hold is None:
        return "rewritten, and was not held" if arrival.text.endswith(REWRITTEN) else ""
    if any(asked.id in run.ids for run in evidence.replays):
        return ""  # an operator overrules a decision
    made = {one.verdict for one in evidence.decisions.get(asked.hold.key, ()) if one.asked_at <= arrival.at}
    over = asked.hold.releases and arrival.at >= accepted + asked.hold.timeout_s - CLOCK_S
    if arrival.text.endswith(REWRITTEN):
        return "" if "rewrite" in made else "rewritten without a decision"
    return "" if "allow" in made or over else "without a decision that lets it pass as it is"


def first_arrivals(evidence: Evidence) -> dict[str, Arrival]:
    """The first arrival of each text, a rewritten one under the text that was asked for."""
    found: dict[str, Arrival] = {}
    for arrival in evidence.arrivals:
        found.setdefault(arrival.text.removesuffix(REWRITTEN), arrival)
    return found


def doubled(evidence: Evidence) -> Iterator[str]:
    """Every copy but one is explained by a listed push of unknown outcome that contained it.

    Under ``dead_letter`` nothing is pushed again after such a push, unless an operator puts it back.
    """
    again = Counter(message_id for run in evidence.replays for message_id in run.ids)
    copies = Counter(arrival.text.removesuffix(REWRITTEN) for arrival in evidence.arrivals)
    doubts = Counter(message_id for push in evidence.unknown for message_id in push.ids)
    for one in evidence.messages.values():
        record = evidence.records.get(one.id)
        settled = record is not None and record.state == "delivered"
        allowed = settled + doubts[one.id]
        if evidence.on_unknown == "dead_letter":
            allowed = min(allowed, 1 + again[one.id])
        if copies[one.text] > allowed:
            state = record.state if record else "unknown to Redis"
            yield f"{one.text}, {state}, arrived {copies[one.text]} times, {allowed} are explained"


def silent(evidence: Evidence) -> Iterator[str]:
    """Nothing arrives of a message that is cancelled or dead and not marked as perhaps delivered."""
    first = first_arrivals(evidence)
    cancelled = {one.message_id: one for one in evidence.cancels if one.result in {"cancelled", "maybe_delivered"}}
    for one in evidence.messages.values():
        record = evidence.records.get(one.id)
        if record is None:
            continue
        answer = cancelled.get(one.id)
        if answer and record.state != "cancelled":
            yield f"{one.text} was {answer.result} and is {record.state}"
        if record.state != "delivered" and not record.maybe_delivered and one.text in first:
            yield f"{one.text} is {record.state}, certainly not delivered, and arrived"
        if answer and answer.result == "cancelled" and one.text in first:
            yield f"{one.text} was cancelled and arrived"


def dead(evidence: Evidence) -> Iterator[str]:
    """Each dead letter's reason is one that its history allows."""
    unknown = {message_id for push in evidence.unknown for message_id in push.ids}
    skipped = set(evidence.skipped)
    for one in evidence.messages.values():
        record = evidence.records.get(one.id)
        if record is not None and record.state == "dead":
            why = _dies(evidence, one, record, doubted=one.id in unknown, skipped=skipped)
            if why:
                yield f"{one.text} died as {record.reason} ({record.detail}): {why}"


def _dies(evidence: Evidence, one: Asked, record: Record, *, doubted: bool, skipped: set[tuple[str, str]]) -> str:
    match record.reason:
        case "rejected":
            return "" if POISON in one.text else "the API had nothing against it"
        case "exhausted":
            by_hand = record.detail.startswith("skipped by an operator")
            return "" if by_hand and (one.channel, one.conversation) in skipped else "nobody skipped it"
        case "unknown":
            return "" if evidence.on_unknown == "dead_letter" and doubted else "no unknown push of it gave it up"
        case "forbidden":
            made = {made.verdict for made in evidence.decisions.get(one.hold.key, ())} if one.hold else set()
            return "" if made & {"forbid", "discard"} else "nobody forbade it"
        case "expired":
            return _expires(one, record)
    return "there is no such reason"


def _expires(one: Asked, record: Record) -> str:
    ends = [record.accepted + one.expires_s] if one.expires_s is not None else []
    if one.hold is not None and not one.hold.releases:
        ends.append(record.accepted + one.hold.timeout_s)
    return "" if any(record.final >= end - CLOCK_S for end in ends) else "its time was not over"


def listed_by_message(evidence: Evidence) -> dict[str, list[float]]:
    """When each message was in a listed push of unknown outcome."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for push in evidence.unknown:
        for message_id in push.ids:
            found[message_id].append(push.at)
    return dict(found)
