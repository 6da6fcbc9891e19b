"""What the queue promises, as a model in Python, and the invariants I1 to I12 that hold the two together."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support.queue import LEASE_MS, room

from pushlane.record import read_content, read_header
from pushlane_worker.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.queue_snapshot import Snapshot

    from pushlane_worker.store import Claim, Settlement

MAX_ATTEMPTS = 4
BATCH_LIMIT = 10
ALONE_AFTER_LOSSES = 2
MAX_LEASE_MS = 300_000
_COUNTED = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.REJECTED)
_STANDING = frozenset(
    [
        "channel",
        "ready",
        "delayed",
        "scheduled",
        "blocked",
        "blocked_by",
        "leases",
        "claims",
        "rate",
        "gate",
        "dead",
        "unknown",
        "counters",
        "pending",
        "listeners",
        "suspects",
        "sweep",
    ]
)


@dataclass
class Message:
    """What the model knows of one message."""

    conversation: str
    address: bytes
    sequence: int
    state: str = "queued"
    attempts: int = 0
    losses: int = 0
    part: int = 0


@dataclass(eq=False)
class Flight:
    """A claimed batch: in flight, or forgotten by a worker that died."""

    claim: Claim
    drain: str
    deadline: int
    accepted: bool = False
    doubtful: bool = False

    @property
    def names(self) -> list[str]:
        """Its message ids."""
        return [name.decode() for name in self.claim.message_ids]


@dataclass
class Model:
    """The queue as it should be, and what the API has accepted."""

    messages: dict[str, Message] = field(default_factory=dict)
    leases: dict[str, Flight] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    flights: list[Flight] = field(default_factory=list)
    pushes: Counter[Outcome] = field(default_factory=Counter)
    stale: int = 0
    parts: int = 0

    def live(self, conversation: str) -> list[str]:
        """The conversation's messages that are not final, in their order."""
        return [
            name
            for name, message in self.messages.items()
            if message.conversation == conversation and message.state == "queued"
        ]

    def next_batch(self, conversation: str) -> list[str]:
        """What a claim must take."""
        batch: list[str] = []
        for name in self.live(conversation)[:BATCH_LIMIT]:
            message = self.messages[name]
            alone = message.losses >= ALONE_AFTER_LOSSES
            head = self.messages[batch[0]] if batch else message
            if batch and (alone or (message.address, message.part) != (head.address, head.part)):
                break
            batch.append(name)
            if alone:
                break
        return batch

    def claim(self, claim: Claim, drain: str, now: int) -> Flight:
        """Takes a claim that the queue gave; it must be the right one."""
        conversation, flight = room(claim), Flight(claim, drain, now + LEASE_MS)
        assert conversation not in self.leases, "I6: one unexpired lease a conversation"
        assert all(claim.token != other.claim.token for other in self.flights), "I6: no token twice"
        assert flight.names == self.next_batch(conversation), "I3, I4: a claim is the head of what waits"
        for name, record in zip(flight.names, claim.records, strict=True):
            assert read_content(record)[2] == name.encode(), "I1: the payload as it was"
            assert read_header(record).attempts == self.messages[name].attempts, "I11"
        self.leases[conversation] = flight
        self.flights.append(flight)
        return flight

    def accept(self, flight: Flight) -> None:
        """The API accepts the batch, at any time after its claim, also from a worker that lost its lease."""
        if flight.accepted:
            return
        flight.accepted = True
        for name in flight.names:
            if name not in self.log:
                self._assert_order(name)
            self.log.append(name)

    def settle(self, flight: Flight, settlement: Settlement) -> int:
        """Settles a flight; the status that the queue must answer."""
        conversation, outcome = room(flight.claim), settlement.result.outcome
        if self.leases.get(conversation) is not flight:
            flight.doubtful = True
            self.stale += 1
            return 0
        del self.leases[conversation]
        self.pushes[outcome] += 1
        flight.doubtful |= outcome is Outcome.UNKNOWN
        if settlement.step.split:
            self._split(flight.names, settlement.step.split)
            return 1
        for name, dies in zip(flight.names, settlement.step.dead.ljust(len(flight.names), "0"), strict=True):
            message = self.messages[name]
            if outcome is Outcome.DELIVERED:
                message.state = "delivered"
            elif outcome in _COUNTED:
                message.attempts += 1
                message.losses = message.losses + 1 if settlement.lost else 0
                over = outcome is Outcome.REJECTED or message.attempts >= MAX_ATTEMPTS
                assert over == (dies == "1"), "I2, I11: none dies before its budget is over"
                message.state = "dead" if over else "queued"
        return 1

    def _split(self, names: list[str], size: int) -> None:
        assert len(names) > size > 0, "a batch of one is not halved"
        for index, name in enumerate(names):
            self.messages[name].part = self.parts + (1 if index < size else 2)
        self.parts += 2

    def _assert_order(self, name: str) -> None:
        for earlier, message in self.messages.items():
            if earlier == name:
                return
            if message.conversation == self.messages[name].conversation:
                gone = earlier in self.log or message.state == "dead"
                assert gone, f"I3: {name} arrived before {earlier}"

    def check(self, snapshot: Snapshot, conversations: Iterable[str]) -> None:
        """The invariants that hold after every step."""
        self._check_messages(snapshot)
        for conversation in conversations:
            self._check_conversation(snapshot, conversation)
        self._check_duplicates()
        self._check_counters(snapshot)
        self._check_keys(snapshot)

    def _check_messages(self, snapshot: Snapshot) -> None:
        for name, message in self.messages.items():
            record = snapshot.records[name]
            assert record, f"I1: {name} is lost"
            header = read_header(record)
            assert header.state == message.state, f"I1, I2: {name} is {header.state}, not {message.state}"
            assert (header.attempts, header.losses) == (message.attempts, message.losses), f"I11: {name}"
            assert header.sequence == message.sequence, "I8: its first answer"
            if message.state != "delivered":
                assert read_content(record)[:3] == (message.conversation, message.address, name.encode()), "I1"
            else:
                assert name in self.log, f"I2: {name} was never accepted"
        assert snapshot.dead == {name for name, message in self.messages.items() if message.state == "dead"}, "I1"

    def _check_conversation(self, snapshot: Snapshot, conversation: str) -> None:
        live, listed = self.live(conversation), snapshot.lists[conversation]
        queued = [name for name in listed if self.messages[name].state == "queued"]
        assert queued == live, f"I4: {conversation} lists {queued}, not {live}"
        places = snapshot.places(conversation)
        if conversation in self.leases:
            assert places == ["leases"], f"I6: {conversation} is leased and stands in {places}"
            token = self.leases[conversation].claim.token.decode()
            assert snapshot.claims[conversation] == token, "I6: the current token"
        elif live:
            assert places in (["ready"], ["delayed"]), f"I5, I9: {conversation} stands in {places}"
        else:
            assert (places, listed) == ([], []), f"I10: {conversation} is empty and stands in {places}"
        assert (conversation in snapshot.claims) == (conversation in self.leases), "I9: the lease is gone"

    def _check_duplicates(self) -> None:
        doubts: defaultdict[str, int] = defaultdict(int)
        for flight in self.flights:
            for name in flight.names:
                doubts[name] += flight.doubtful
        for name, copies in Counter(self.log).items():
            assert copies <= 1 + doubts[name], f"I7: {copies} copies of {name}, {doubts[name]} unknown outcomes"

    def _check_counters(self, snapshot: Snapshot) -> None:
        states = Counter(message.state for message in self.messages.values())
        expected = {
            "accepted": len(self.messages),
            "depth": states["queued"],
            "delivered": states["delivered"],
            "dead": states["dead"],
            "settled_stale": self.stale,
            **{f"pushes_{outcome.name.lower()}": self.pushes[outcome] for outcome in Outcome},
        }
        assert {name: snapshot.counters.get(name, 0) for name in expected} == expected, "I12"

    def _check_keys(self, snapshot: Snapshot) -> None:
        for key in snapshot.keys:
            _, _, name = key.partition("}:")
            kind, _, rest = name.partition(":")
            known = {
                "": key == "pushlane:1:bell",
                "message": rest in self.messages,
                "conversation": bool(self.live(rest)),
                "turn": True,
            }
            assert known.get(kind, kind in _STANDING), f"I10: {key} is left over"
