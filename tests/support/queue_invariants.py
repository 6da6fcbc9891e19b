"""The invariants I1 to I13, which hold the queue's model and a snapshot of Redis together after every step."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from support.queue_message import WAITING

from pushlane.keys import BELL, CHANNELS
from pushlane.message_record import REASONS, read_content, read_header
from pushlane.outcome import Outcome
from pushlane.push_record import MAX_PUSHES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.queue_model import Model
    from support.queue_snapshot import Snapshot

    from pushlane.message_record import Header

_STANDING = frozenset(
    [
        "channel",
        "ready",
        "delayed",
        "scheduled",
        "blocked",
        "blocked_by",
        "held",
        "leases",
        "claims",
        "rate",
        "gate",
        "dead",
        "unknown",
        "counters",
        "pending",
        "listeners",
        "resting",
        "sweep",
        "details",
    ]
)


def learn(model: Model, snapshot: Snapshot) -> None:
    """Tells the model which messages were met after their time, and which conversations became empty by that."""
    for name, message in model.messages.items():
        header = read_header(*snapshot.records[name])
        if message.state == "held" and header.state != "held":
            _learn_end(model, name, header)
        if message.state == "queued" and (header.state, header.reason) == ("dead", "expired"):
            assert 0 < message.expires <= header.final_ms, f"{name} died before its time"
            assert not model.in_flight(name), f"{name} died in flight"
            model.die(name)
    for name in list(model.blocked):
        if not snapshot.lists[name] or (name not in snapshot.blocked and not model.head_has_failed(name)):
            del model.blocked[name]  # the one that had failed is gone
        elif name in snapshot.held:
            assert not model.head_has_failed(name), "a message that was pushed is not held"
            del model.blocked[name]


def _learn_end(model: Model, name: str, header: Header) -> None:
    """A hold timed out, or what was held was met or decided on after its time."""
    message = model.messages[name]
    if message.over(header.final_ms or header.joined_ms):
        _learn_late_end(model, name, header)
        return
    assert model.held_head(message.conversation) == name, f"the hold of {name} ended before its turn"
    if header.state == "dead":
        assert (header.reason, message.releases) == ("expired", False), f"{name} died of its hold"
        assert message.due <= header.final_ms, f"the hold of {name} ended before its time"
        model.die(name)
    else:
        assert (header.state, message.releases) == ("queued", True), f"{name} was released by its hold"
        assert message.due <= header.joined_ms, f"the hold of {name} ended before its time"
        model.release(name, header.joined_ms)


def _learn_late_end(model: Model, name: str, header: Header) -> None:
    message = model.messages[name]
    decision = model.decisions.get(message.hold)
    if decision == "a" and header.due_ms == 0:
        model.release(name, header.joined_ms)
    if header.state == "dead":
        assert header.reason == "expired" or (header.reason, decision) == ("forbidden", "f")
        model.die(name)
    else:
        assert (header.state, message.state) == ("queued", "queued"), f"{name} is {header.state}"


def check(model: Model, snapshot: Snapshot, conversations: Iterable[str]) -> None:
    """The invariants that hold after every step."""
    _check_messages(model, snapshot)
    for conversation in conversations:
        _check_conversation(model, snapshot, conversation)
    _check_duplicates(model)
    _check_counters(model, snapshot)
    _check_keys(model, snapshot)
    failed = {name: since for name, since in snapshot.blocked.items() if name not in snapshot.held}
    assert failed == model.blocked, "blocked is what failed last, since its first failure"
    for name in snapshot.held:
        assert snapshot.blocked_by[name].startswith("held: "), "and what is held"
    assert snapshot.blocked_by.keys() == snapshot.blocked.keys()
    assert ("paused" in snapshot.gate) == model.paused


def _check_messages(model: Model, snapshot: Snapshot) -> None:
    for name, message in model.messages.items():
        record, details = snapshot.records[name]
        assert record, f"I1: {name} is lost"
        header = read_header(record, details)
        assert header.state == message.state, f"I1, I2: {name} is {header.state}, not {message.state}"
        assert header.attempts == message.attempts, f"I11: {name}"
        assert (header.joined_ms, header.due_ms) == (message.joined, message.due), f"its times: {name}"
        kept = model.is_kept(name)
        assert kept or name not in snapshot.details, f"I10: the details of {name} are left over"
        if kept:
            assert header.losses == message.losses, f"I11: {name}"
        assert header.maybe_delivered == message.maybe, f"I2: {name}"
        assert header.sequence == message.sequence, "I8: its first answer"
        content = (message.address, name.encode()) if kept else (b"", b"")
        assert read_content(record) == (message.conversation, *content), "I1"
        assert message.state != "delivered" or name in model.log, f"I2: {name} was never accepted"
    traces = {name: message.trace for name, message in model.messages.items() if message.trace and model.is_kept(name)}
    assert dict(snapshot.traces) == traces, "a message has the trace of its first enqueue, until it is finished"
    assert snapshot.dead == {name for name in model.messages if model.dead_letter(name)}, "I1"
    assert dict(snapshot.scheduled) == {name: model.joins_at(name) for name in model.scheduled()}, "I1"


def _check_conversation(model: Model, snapshot: Snapshot, conversation: str) -> None:
    live, listed = model.live(conversation), snapshot.lists[conversation]
    told = model.pushes_of[conversation][-MAX_PUSHES:]
    assert snapshot.pushes[conversation] == told, f"I13: the timeline of {conversation}"
    queued = [name for name in listed if model.messages[name].state in WAITING]
    assert queued == live, f"I4: {conversation} lists {queued}, not {live}"
    places, flight = snapshot.places(conversation), model.leases.get(conversation)
    if flight is not None:
        assert places == ["leases"], f"I6: {conversation} is leased and stands in {places}"
        assert snapshot.claims[conversation] == flight.claim.token.decode(), "I6: the current token"
        assert listed[: len(flight.names)] == flight.names, "I4: a claimed batch is the head of its list"
    elif head := model.held_head(conversation):
        message = model.messages[head]
        assert places == ["held"], f"{conversation} waits for a decision and stands in {places}"
        assert snapshot.held[conversation] == min(message.due, message.expires or message.due), "until its time is over"
    elif live:
        assert places in (["ready"], ["delayed"]), f"I5, I9: {conversation} stands in {places}"
    else:
        assert (places, listed) == ([], []), f"I10: {conversation} is empty and stands in {places}"
    assert (conversation in snapshot.claims) == (conversation in model.leases), "I9: the lease is gone"


def _check_duplicates(model: Model) -> None:
    doubts: defaultdict[str, int] = defaultdict(int)
    for flight in model.flights:
        for name in flight.names:
            doubts[name] += flight.doubtful
    for name, copies in Counter(model.log).items():
        assert copies <= 1 + doubts[name], f"I7: {copies} copies of {name}, {doubts[name]} unknown outcomes"


def _check_counters(model: Model, snapshot: Snapshot) -> None:
    states = Counter(message.state for message in model.messages.values())
    names = ("accepted", "delivered", "dead", "cancelled", "replayed", "purged", "settled_stale")
    expected = {
        **{name: model.counters[name] for name in names},
        "depth": states["queued"] + states["scheduled"] + states["held"],
        **{f"pushes_{outcome.name.lower()}": model.pushes[outcome] for outcome in Outcome},
    }
    counters = {**snapshot.counters, "dead": sum(snapshot.counters.get(f"dead_{code}", 0) for code in REASONS)}
    assert {name: counters.get(name, 0) for name in expected} == expected, "I12"


def _check_keys(model: Model, snapshot: Snapshot) -> None:
    for key in snapshot.keys:
        _, _, name = key.partition("}:")
        kind, _, rest = name.partition(":")
        known = {
            "": key in {BELL, CHANNELS},
            "message": rest in model.messages and model.messages[rest].state not in {"delivered", "cancelled"},
            "tombstones": True,
            "conversation": bool(model.live(rest)),
            "pushes": bool(model.pushes_of[rest]),
            "turn": True,
            "throughput": True,
            "hold": any((one.state, one.hold) == ("held", rest) for one in model.messages.values()),
            "decision": rest in model.decisions,
        }
        assert known.get(kind, kind in _STANDING), f"I10: {key} is left over"
