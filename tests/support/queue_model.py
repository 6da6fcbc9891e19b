"""What the queue promises, as a model in Python; ``queue_invariants`` holds it and Redis together.

The model knows every step but one: expiry is lazy, so that a message may stay ``queued`` after its time. It is never
claimed then, and the model learns of its death from Redis. So it does of holds that timed out: a sweep ends them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support.queue import LEASE_MS, room
from support.queue_message import FINAL, WAITING, Flight, Message

from pushlane.message_record import attempts_of, read_content
from pushlane.outcome import Outcome
from pushlane_worker.queue.turns import Settled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pushlane_worker.queue.turns import Claim, Settlement

MAX_ATTEMPTS = 4
BATCH_LIMIT = 10
ALONE_AFTER_LOSSES = 2
MAX_LEASE_MS = 300_000
SUSPECT_AFTER = 20
_COUNTED = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.REJECTED, Outcome.MISCONFIGURED)


@dataclass
class Model:
    """The queue as it should be, and what the API has accepted."""

    messages: dict[str, Message] = field(default_factory=dict)
    lines: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Of each conversation, everything that ever joined it, in its order."""
    leases: dict[str, Flight] = field(default_factory=dict)
    blocked: dict[str, int] = field(default_factory=dict)
    """Since when a conversation's head is in trouble; some may have become empty meanwhile."""
    refused: set[str] = field(default_factory=set)
    """Those of them that were refused last: the next time it may be their own fault."""
    log: list[str] = field(default_factory=list)
    flights: list[Flight] = field(default_factory=list)
    pushes: Counter[Outcome] = field(default_factory=Counter)
    counters: Counter[str] = field(default_factory=Counter)
    """The monotonic ones, but for the pushes."""
    decisions: dict[str, str] = field(default_factory=dict)
    """The first decision on each key of a hold."""
    pushes_of: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Of each conversation, the pushes that a timeline tells: flags and ids."""
    parts: int = 0
    paused: bool = False

    def enqueue(self, name: str, message: Message, now: int) -> None:
        """A new message, which joins at once or later, perhaps to be held in its place."""
        self.messages[name] = message
        self.counters["accepted"] += 1
        if message.hold:
            message.state, message.joined = "held", now
            if self.decisions.get(message.hold, "") != "f":
                self.lines[message.conversation].append(name)
            if message.hold in self.decisions:
                self._decide(name, now)
        elif message.due > now:
            message.state = "scheduled"
        else:
            self._join(name, now)

    def join_due(self, now: int) -> None:
        """Everything whose time has come joins in the order of due times, then of acceptance."""
        for name in self.scheduled():
            message = self.messages[name]
            if self.joins_at(name) > now:
                return
            if message.over(now):
                message.joined = now
                self.die(name)
            else:
                self._join(name, now)

    def joins_at(self, name: str) -> int:
        """When a scheduled message joins; one that expires before that dies then."""
        message = self.messages[name]
        return min(message.due, message.expires or message.due)

    def scheduled(self) -> list[str]:
        """What joins later, in the order in which it will."""
        names = (name for name, message in self.messages.items() if message.state == "scheduled")
        return sorted(names, key=lambda name: (self.joins_at(name), self.messages[name].sequence))

    def live(self, conversation: str) -> list[str]:
        """The conversation's messages that are not final, in their order."""
        return [name for name in self.lines[conversation] if self.messages[name].state in WAITING]

    def held_head(self, conversation: str) -> str | None:
        """The message that holds up the conversation until somebody decides, or its time is over."""
        heads = [name for name in self.live(conversation)[:1] if self.messages[name].state == "held"]
        return heads[0] if heads and conversation not in self.leases else None

    def decide(self, key: str, decision: str, now: int) -> tuple[str, range]:
        """Decides on a key, once; the decision that stands, and how many messages it may meet.

        Those that are over may die of their age before: the model learns what became of them.
        """
        standing = self.decisions.setdefault(key, decision)
        held = [name for name, message in self.messages.items() if (message.state, message.hold) == ("held", key)]
        sure = [name for name in held if not self.messages[name].over(now)]
        for name in sure:
            self._decide(name, now)
        return standing, range(len(sure), len(held) + 1)

    def release(self, name: str, now: int) -> None:
        """What was held can be pushed from now on."""
        message = self.messages[name]
        message.state, message.joined, message.due = "queued", now, 0

    def next_batch(self, conversation: str, now: int) -> list[str]:
        """What a claim must take."""
        batch: list[str] = []
        for name in [name for name in self.live(conversation) if not self.messages[name].over(now)][:BATCH_LIMIT]:
            message = self.messages[name]
            alone = message.losses >= ALONE_AFTER_LOSSES
            head = self.messages[batch[0]] if batch else message
            if message.state == "held":
                break
            if batch and (alone or (message.address, message.part) != (head.address, head.part)):
                break
            batch.append(name)
            if alone:
                break
        return batch

    def claim(self, claim: Claim, drain: str, now: int) -> Flight:
        """Takes a claim that the queue gave; it must be the right one."""
        assert not self.paused, "a paused channel claims nothing"
        flight = Flight(claim, drain, now + LEASE_MS, [])
        conversation = room(claim)
        assert conversation not in self.leases, "I6: one unexpired lease a conversation"
        assert all(claim.token != other.claim.token for other in self.flights), "I6: no token twice"
        assert flight.names == self.next_batch(conversation, now), "I3, I4: a claim is the head of what waits"
        for number, (name, record) in enumerate(zip(flight.names, claim.records, strict=True)):
            assert read_content(record)[2] == name.encode(), "I1: the payload as it was"
            attempts = attempts_of(claim.details[number]) if claim.details else 0
            assert attempts == self.messages[name].attempts, "I11"
            flight.lives.append(self.messages[name].lives)
        self.leases[conversation] = flight
        self.flights.append(flight)
        return flight

    def accept(self, flight: Flight) -> None:
        """The API accepts the batch, at any time after its claim, also from a worker that lost its lease."""
        if flight.accepted:
            return
        flight.accepted = True
        for name, life in zip(flight.names, flight.lives, strict=True):
            # One that was replayed since this claim has a new place in the order.
            if name not in self.log and life == self.messages[name].lives:
                self._assert_order(name)
            self.log.append(name)

    def settle(self, flight: Flight, settlement: Settlement, now: int, status: int) -> int:
        """Settles a flight, of which the queue answered this; the status that it must answer."""
        conversation, outcome = room(flight.claim), settlement.result.outcome
        if self.leases.get(conversation) is not flight:
            flight.doubtful = True
            self.counters["settled_stale"] += 1
            return 0
        del self.leases[conversation]
        self.pushes[outcome] += 1
        flight.doubtful |= outcome is Outcome.UNKNOWN
        spared = status == Settled.SPARED and self._may_blame_the_channel(settlement)
        assert spared or outcome is not Outcome.MISCONFIGURED or conversation in self.refused, "the first is no attempt"
        self._list(flight, settlement, spared=spared)
        if settlement.step.split and not spared:
            self._split(flight.names, settlement.step.split)
        elif not spared:
            self._spend(flight, settlement)
        self._block(conversation, settlement, now, spared=spared)
        return Settled.SPARED if spared else Settled.CURRENT

    def in_flight(self, name: str) -> bool:
        """Whether a lease holds the message."""
        flight = self.leases.get(self.messages[name].conversation)
        return flight is not None and name in flight.names

    def cancel(self, name: str) -> str:
        """Cancels a message; the answer that the queue must give."""
        message = self.messages.get(name)
        if message is None:
            return "not_found"
        if message.state in FINAL:
            return "already_final"
        if self.in_flight(name):
            return "in_flight"
        message.state = "cancelled"
        self.counters["cancelled"] += 1
        return "maybe_delivered" if message.maybe else "cancelled"

    def skip(self, conversation: str, now: int) -> list[str]:
        """Kills the head of a blocked conversation; the answer that the queue must give."""
        if head := self.held_head(conversation):
            if self.messages[head].over(now):
                return ["not_blocked"]
            self.die(head)
            return ["skipped", head]
        if conversation not in self.blocked:
            return ["not_blocked"]
        if conversation in self.leases:
            return ["in_flight"]
        del self.blocked[conversation]
        live = self.live(conversation)
        heads = [name for name in live if not self.messages[name].over(now)][:1]
        if heads != live[:1] and heads and not self.messages[heads[0]].attempts:
            return ["not_blocked"]
        for name in heads:
            self.die(name)
        return ["skipped", *heads] if heads else ["not_blocked"]

    def replay(self, names: Iterable[str], now: int) -> int:
        """Puts back those of them that are dead letters, oldest first; how many."""
        known = sorted(
            (name for name in names if self.dead_letter(name)), key=lambda name: self.messages[name].sequence
        )
        for name in known:
            message = self.messages[name]
            message.attempts = message.losses = message.part = message.expires = message.due = 0
            message.lives += 1
            if name in self.lines[message.conversation]:
                self.lines[message.conversation].remove(name)
            self._join(name, now)
        self.counters["replayed"] += len(known)
        return len(known)

    def purge(self, names: Iterable[str]) -> int:
        """Forgets what these of them say that are dead letters; how many."""
        known = [name for name in names if self.dead_letter(name)]
        for name in known:
            self.messages[name].purged = True
            self.pushes_of[self.messages[name].conversation].clear()
        self.counters["purged"] += len(known)
        return len(known)

    def head_has_failed(self, conversation: str) -> bool:
        """Whether the conversation's head has had a push that failed."""
        return any(self.messages[name].attempts for name in self.live(conversation)[:1])

    def dead_letter(self, name: str) -> bool:
        """Whether it is dead and not purged."""
        return self.messages[name].state == "dead" and not self.messages[name].purged

    def is_kept(self, name: str) -> bool:
        """Whether its record is kept."""
        return self.messages[name].state in {"queued", "scheduled", "held"} or self.dead_letter(name)

    def die(self, name: str) -> None:
        """Sends a message to the dead letters."""
        self.messages[name].state = "dead"
        self.counters["dead"] += 1

    def _decide(self, name: str, now: int) -> None:
        if self.decisions[self.messages[name].hold] == "f":
            self.die(name)
        else:
            self.release(name, now)

    def _join(self, name: str, now: int) -> None:
        message = self.messages[name]
        message.state, message.joined = "queued", now
        self.lines[message.conversation].append(name)

    def _spend(self, flight: Flight, settlement: Settlement) -> None:
        outcome = settlement.result.outcome
        for name, dies in zip(flight.names, settlement.step.dead or " " * len(flight.names), strict=True):
            message = self.messages[name]
            message.maybe |= outcome is Outcome.UNKNOWN
            message.pushed |= dies != " " or outcome is Outcome.UNKNOWN
            if outcome is Outcome.DELIVERED:
                message.state = "delivered"
                message.attempts += 1
                self.counters["delivered"] += 1
            elif outcome in _COUNTED and dies != " ":
                message.attempts += 1
                message.losses = message.losses + 1 if settlement.lost else 0
                over = outcome is Outcome.REJECTED or message.attempts >= MAX_ATTEMPTS
                assert over == (dies == "1"), "I2, I11: none dies before its budget is over"
                if over:
                    self.die(name)

    def _list(self, flight: Flight, settlement: Settlement, *, spared: bool) -> None:
        """All but what was given back, and what was delivered at its first push."""
        outcome, batch = settlement.result.outcome, [self.messages[name] for name in flight.names]
        delivered = outcome is Outcome.DELIVERED
        known = any(message.pushed or message.part for message in batch)
        if outcome is Outcome.UNSENT or (delivered and not known):
            return
        costs = delivered or (settlement.step.dead != "" and not spared and outcome is not Outcome.THROTTLED)
        ids = ",".join(flight.names)
        self.pushes_of[room(flight.claim)].append(f"{outcome:d}{settlement.lost:d}{costs:d} {ids}")

    def _split(self, names: list[str], size: int) -> None:
        assert len(names) > size > 0, "a batch of one is not halved"
        for index, name in enumerate(names):
            self.messages[name].part = self.parts + (1 if index < size else 2)
        self.parts += 2

    def _may_blame_the_channel(self, settlement: Settlement) -> bool:
        match settlement.result.outcome:
            case Outcome.REJECTED:
                return self.pushes[Outcome.REJECTED] >= SUSPECT_AFTER
            case Outcome.THROTTLED:
                return settlement.result.lone
            case outcome:
                return outcome is Outcome.MISCONFIGURED

    def _block(self, conversation: str, settlement: Settlement, now: int, *, spared: bool) -> None:
        """In trouble is what failed and will be tried again, until something of it is delivered or all of it died."""
        outcome, dead = settlement.result.outcome, settlement.step.dead
        over = outcome in {Outcome.DELIVERED, Outcome.REJECTED} or (dead != "" and "0" not in dead)
        troubled = {Outcome.FAILED, Outcome.UNKNOWN, Outcome.MISCONFIGURED}
        if spared:
            over, troubled = False, {Outcome.MISCONFIGURED, Outcome.REJECTED}
        elif settlement.result.lone:
            troubled.add(Outcome.THROTTLED)
        if over or all(self.messages[name].over(now) for name in self.live(conversation)):
            self.blocked.pop(conversation, None)
        elif outcome in troubled:
            self.blocked.setdefault(conversation, now)
            self.refused.discard(conversation)
        if outcome is Outcome.MISCONFIGURED and conversation in self.blocked:
            self.refused.add(conversation)

    def _assert_order(self, name: str) -> None:
        line = self.lines[self.messages[name].conversation]
        for earlier in line[: line.index(name)]:
            gone = earlier in self.log or self.messages[earlier].state in {"dead", "cancelled"}
            assert gone, f"I3: {name} arrived before {earlier}"
