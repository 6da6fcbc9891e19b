"""A random walk over everything that can happen to a channel, checked against the model after each step."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from support import queue_invariants
from support.queue import LEASE_MS
from support.queue_message import FINAL, Message
from support.queue_walker import BACKOFF_CAP_MS, CONVERSATIONS, Walker

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypothesis import settings
    from redis import Redis

    from pushlane_worker.queue.turns import Claim

    _Draw = Callable[[st.SearchStrategy[Any]], Any]

ADDRESSES = (b"", b'["alice",null]')
SWEEP_MS = 950
DAY_MS = 100_000_000
ROUNDS = 400

_rooms = st.sampled_from(CONVERSATIONS[:1] * 3 + CONVERSATIONS[1:])
_addresses = st.sampled_from(ADDRESSES[:1] * 3 + ADDRESSES[1:])
_steps = st.sampled_from([1, 1, SWEEP_MS, 5000, LEASE_MS + 1, LEASE_MS + 1, LEASE_MS + 1, -50, DAY_MS, -DAY_MS])
_outcomes = st.sampled_from([*[Outcome.DELIVERED] * 4, *[Outcome.FAILED] * 2, *[Outcome.UNKNOWN] * 2, *Outcome])
_share = st.floats(0, 1, exclude_max=True)
_dues = st.sampled_from([None] * 6 + [-1000, 1, SWEEP_MS, 3000, LEASE_MS])
_keys = st.sampled_from([f"k{number}" for number in range(12)])
_holds = st.sampled_from([0] * 5 + [1, SWEEP_MS, 5000, LEASE_MS])
_traces = st.sampled_from(["", *(f"00-{number:032x}-{number:016x}-01" for number in (1, 2))])
_lifetimes = st.sampled_from([0] * 6 + [1, SWEEP_MS, 5000, LEASE_MS, DAY_MS])


class QueueMachine(RuleBasedStateMachine):
    """Two conversations, two drains that crash and freeze, sweeps, a clock that steps, a producer and an operator."""

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        self.walker = Walker(redis)
        self.queue, self.model = self.walker.queue, self.walker.model

    # What may happen ----------------------------------------------------------------------------------------------

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """One of the things that can happen now.

        One rule for all: Hypothesis switches rules off at random, and of 3,000 steps it then let 4 settle a push.
        """
        known, dead = bool(self.model.messages), any(map(self.model.dead_letter, self.model.messages))
        weights = {"enqueue": 4, "turn": 5, "crash": 1, "clock": 2, "sweep": 2, "sweep_a_while": 2, "flush_scripts": 1}
        weights |= {"enqueue_again": int(known), "cancel": int(known), "answer": 2}
        weights |= {"replay": 2 * dead, "purge": int(dead), "skip": 2 * bool(self.model.blocked)}
        weights["decide"] = 2 if any(map(self.model.held_head, CONVERSATIONS)) else 1
        weights["settle"] = 8 * bool(self.walker.current())
        weights["arrive"] = 2 * bool(self.walker.flying())
        weights["settle_a_zombie"] = 5 * bool(self.walker.zombies())
        weights["repeat"] = 2 * any(drain in self.walker.last for drain in self.walker.drains)
        weights["pause"] = 4 if self.model.paused else 1
        names = [name for name, weight in weights.items() for _ in range(weight)]
        getattr(self, data.draw(st.sampled_from(names), "action"))(data.draw)

    def enqueue(self, draw: _Draw) -> None:
        """New messages, of one sender; some of them for later, some of them for a time, some held for a decision."""
        conversation, address, first = draw(_rooms), draw(_addresses), len(self.model.messages)
        names = [f"m{number:03}" for number in range(first, first + draw(st.integers(1, 5)))]
        wait, lifetime, now = draw(_dues), draw(_lifetimes), self.queue.now
        due, timeout, key, releases = "" if wait is None else str(now + wait), 0, "", False
        if wait is None and (timeout := draw(_holds)):
            key, releases = draw(_keys), draw(st.booleans())
        hold = f"{'r' if releases else 'd'}{timeout}:{key}" if key else ""
        options = {"due": due, "expires": str(lifetime or ""), "hold": hold, "trace": draw(_traces)}
        accepted = self.queue.enqueue(conversation, *names, address=address, **options)
        self.walker.tailed = True
        for number, (name, answer) in enumerate(zip(names, accepted, strict=True), first + 1):
            message = Message(conversation, address, number, due=now + wait if wait and wait > 0 else 0)
            message.hold, message.releases, message.trace = key, releases, options["trace"]
            message.due += now + timeout if key else 0
            message.expires = now + lifetime if lifetime else 0
            self.model.enqueue(name, message, now)
            assert (answer.sequence, answer.state, answer.duplicate) == (number, message.state, False)

    def enqueue_again(self, draw: _Draw) -> None:
        """A repeat of an enqueue whose answer was lost."""
        name = draw(st.sampled_from(sorted(self.model.messages)))
        (answer,) = self.queue.enqueue_again(name)
        self.walker.tailed = True
        known = self.model.messages[name]
        assert (answer.sequence, answer.state, answer.duplicate) == (known.sequence, known.state, True), "I8"

    def turn(self, draw: _Draw) -> None:
        """A drain asks for work."""
        self.walker.turn(draw(st.sampled_from(self.walker.drains)), [], draw(st.integers(0, 4)))

    def settle(self, draw: _Draw) -> None:
        """A push ends while its lease is the current one, in time or late."""
        flight, outcome, accepted = draw(st.sampled_from(self.walker.current())), draw(_outcomes), draw(st.booleans())
        if flight.accepted:
            outcome = Outcome.DELIVERED if accepted else Outcome.UNKNOWN
        if outcome is Outcome.DELIVERED or (outcome is Outcome.UNKNOWN and accepted):
            self.model.accept(flight)
        settlement = self.walker.settlement(flight.claim, outcome, draw(_share))
        self.walker.turn(flight.drain, [(flight, settlement)], draw(st.integers(0, 2)))

    def settle_a_zombie(self, draw: _Draw) -> None:
        """A worker wakes up and settles with a token that is no longer the current one; another one may hold it."""
        flight, outcome = draw(st.sampled_from(self.walker.zombies())), draw(_outcomes)
        self.walker.move_clock(BACKOFF_CAP_MS)
        self.walker.turn(next(drain for drain in self.walker.drains if drain != flight.drain), [], 2)
        if outcome is Outcome.DELIVERED:
            self.model.accept(flight)
        self.walker.turn(flight.drain, [(flight, self.walker.settlement(flight.claim, outcome, draw(_share)))], 0)

    def arrive(self, draw: _Draw) -> None:
        """The API accepts a batch; the worker does not know yet."""
        self.model.accept(draw(st.sampled_from(self.walker.flying())))

    def crash(self, draw: _Draw) -> None:
        """A worker dies with all it knew; what it had sent may have arrived."""
        self.walker.crash(draw(st.integers(0, 1)))

    def clock(self, draw: _Draw) -> None:
        """Time passes, or the server's clock steps."""
        self.walker.move_clock(draw(_steps), noticed=draw(st.booleans()))

    def sweep(self, draw: _Draw) -> None:
        """A dispatcher sweeps."""
        self.walker.sweep(draw(_share))

    def sweep_a_while(self, draw: _Draw) -> None:
        """Seven sweeps without a break: leases that ran out are found, and their drains become zombies."""
        if draw(st.booleans()):
            self.walker.move_clock(LEASE_MS + 1)
        for _ in range(7):
            self.walker.move_clock(SWEEP_MS)
            self.walker.sweep(jitter=0.5)

    def answer(self, draw: _Draw) -> None:
        """A dispatcher takes the ring; its task starts a drain, or is lost with the broker."""
        if not self.queue.rung():
            return
        slot = draw(st.integers(0, 1))
        if self.walker.flying(self.walker.drains[slot]):
            self.walker.tailed = False  # the task is lost, and only a sweep can make up for it
        else:
            self.walker.crash(slot)
            self.walker.turn(self.walker.drains[slot], [], 2)

    def flush_scripts(self, _draw: _Draw) -> None:
        """The server restarts without its script cache."""
        self.queue.redis.script_flush()

    def repeat(self, draw: _Draw) -> None:
        """A drain repeats its last turn, whose answer it did not get."""
        drain = draw(st.sampled_from([drain for drain in self.walker.drains if drain in self.walker.last]))
        first, before = self.walker.last[drain], self.walker.snapshot()
        again = self.queue.repeat(drain)
        assert self.walker.snapshot() == before, "a repeated turn changes nothing"
        assert again.settled == first.settled
        current = {flight.claim.token for flight in self.model.leases.values()}
        standing = [(claim.token, claim.message_ids) for claim in first.claims if claim.token in current]
        assert [(claim.token, claim.message_ids) for claim in again.claims] == standing

    def cancel(self, draw: _Draw) -> None:
        """A producer takes a message back, whatever became of it."""
        name = draw(st.sampled_from(["nobody", *self.model.messages]))
        answer = self.queue.cancel(name)
        assert answer == self.model.cancel(name)
        self.walker.tailed = self.walker.tailed or answer in {"cancelled", "maybe_delivered"}

    def decide(self, draw: _Draw) -> None:
        """Somebody decides on a key, perhaps before its message, perhaps once more."""
        key, decision = draw(_keys), draw(st.sampled_from("aaf"))
        standing, met, left = self.queue.decide(key, decision)
        expected, possible = self.model.decide(key, decision, self.queue.now)
        assert (standing, met in possible, left) == (expected, True, 0)
        self.walker.tailed = True

    def pause(self, draw: _Draw) -> None:
        """An operator pauses the channel or lets it go on, perhaps twice."""
        paused = draw(st.booleans())
        assert self.queue.pause(paused=paused) == (paused != self.model.paused)
        self.model.paused, self.walker.tailed = paused, True

    def skip(self, draw: _Draw) -> None:
        """An operator gives up the head of a conversation, blocked or not."""
        conversation = draw(_rooms)
        expected = self.model.skip(conversation, self.queue.now)
        assert self.queue.skip(conversation) == expected
        self.walker.tailed = self.walker.tailed or expected[0] == "skipped"

    def replay(self, draw: _Draw) -> None:
        """An operator replays what he takes for dead letters."""
        names = self._letters(draw)
        assert self.queue.replay(*names) == [self.model.replay(names, self.queue.now), 0, 0]
        self.walker.tailed = True

    def purge(self, draw: _Draw) -> None:
        """An operator purges what he takes for dead letters."""
        names = self._letters(draw)
        assert self.queue.purge(*names) == self.model.purge(names)

    # What must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def agrees(self) -> None:
        """I1 to I13, and nobody sleeps on claimable work."""
        snapshot = self.walker.snapshot()
        queue_invariants.check(self.model, snapshot, CONVERSATIONS)
        if self.walker.tailed and self.walker.sane and snapshot.claimable():
            assert snapshot.somebody_looks(), "claimable work, and nobody will look"

    def teardown(self) -> None:
        """Without faults everything that is not final is delivered, or dies of its age, within a bounded time."""
        if sys.exc_info()[0] is not None:
            return
        for flight in self.walker.flying():
            flight.drain = ""
            flight.doubtful = True
        if self.model.paused:
            self.model.paused = not self.queue.pause(paused=False)
        # A clock that stepped back may have put them off by days.
        held = (message.due for message in self.model.messages.values() if message.state == "held")
        last = max([0, *held, *map(self.model.joins_at, self.model.scheduled())])
        self.walker.move_clock(max(last - self.queue.now, 0))
        self.walker.drains = ["last", "unused"]
        flying: Sequence[Claim] = ()
        for _ in range(ROUNDS):
            if not self._left():
                break
            self.walker.move_clock(SWEEP_MS)
            self.walker.sweep(jitter=0.0)
            delivered = [
                (self.walker.flight_of(claim), self.walker.settlement(claim, Outcome.DELIVERED, 0)) for claim in flying
            ]
            for flight, _settlement in delivered:
                self.model.accept(flight)
            flying = self.walker.turn("last", delivered, 4).claims
        assert not self._left(), f"forgotten after {ROUNDS} fault-free rounds: {self._left()}"
        self.agrees()

    def _left(self) -> list[str]:
        return [name for name, message in self.model.messages.items() if message.state not in FINAL]

    def _letters(self, draw: _Draw) -> list[str]:
        """Some dead letters, and perhaps an id of another message."""
        dead = [name for name in self.model.messages if self.model.dead_letter(name)]
        return [*draw(st.lists(st.sampled_from(dead), min_size=1, max_size=5, unique=True)), *self._other(draw, dead)]

    def _other(self, draw: _Draw, dead: Sequence[str]) -> list[str]:
        # One that is over may die of the call itself, which then meets a dead letter.
        others = [
            name for name, known in self.model.messages.items() if name not in dead and not known.over(self.queue.now)
        ]
        return [draw(st.sampled_from(others))] if others and draw(st.booleans()) else []


def walk(redis: Redis, how: settings) -> None:
    """Runs the machine on this server."""

    class Walk(QueueMachine):
        def __init__(self) -> None:
            super().__init__(redis)

    run_state_machine_as_test(Walk, settings=how)
