"""A random walk over everything that can happen to a channel, checked against the model after each step."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from support.queue import LEASE_MS, LOST, SWEEPER, Queue, Turn, room
from support.queue_model import MAX_ATTEMPTS, MAX_LEASE_MS, Flight, Message, Model
from support.queue_snapshot import Snapshot, take

from pushlane_worker.outcome import Outcome, PushResult
from pushlane_worker.retry import RetryPolicy, next_step
from pushlane_worker.store import Settlement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypothesis import settings
    from redis import Redis

    from pushlane_worker.store import Claim

    _Draw = Callable[[st.SearchStrategy[Any]], Any]

CONVERSATIONS = ("a", "b")
ADDRESSES = (b"", b'["alice",null]')
SWEEP_MS = 950
DAY_MS = 100_000_000
BACKOFF_CAP_MS = 10_000
POLICY = RetryPolicy(MAX_ATTEMPTS, 1e9, 1.0, BACKOFF_CAP_MS / 1000, 60.0, "retry")
FIELDS = {
    "rate_limit": 30,
    "rate_window_ms": 20_000,
    "breaker_after": 3,
    "breaker_cap_ms": 5000,
    "retry_after_cap_ms": 60_000,
    "backoff_cap_ms": BACKOFF_CAP_MS,
}
ROUNDS = 400

_rooms = st.sampled_from(CONVERSATIONS[:1] * 3 + CONVERSATIONS[1:])
_addresses = st.sampled_from(ADDRESSES[:1] * 3 + ADDRESSES[1:])
_steps = st.sampled_from([1, 1, SWEEP_MS, 5000, LEASE_MS + 1, LEASE_MS + 1, LEASE_MS + 1, -50, DAY_MS, -DAY_MS])
_outcomes = st.sampled_from([*[Outcome.DELIVERED] * 4, *[Outcome.FAILED] * 2, *[Outcome.UNKNOWN] * 2, *Outcome])
_share = st.floats(0, 1, exclude_max=True)


class QueueMachine(RuleBasedStateMachine):
    """Two conversations, two drains that crash and freeze, a clock that steps, and sweeps as a dispatcher does them."""

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        redis.flushall()
        self.queue = Queue(redis, "support", **FIELDS)
        self.model = Model()
        self.drains = ["d0.0", "d1.0"]
        self.crashes = 0
        self.last: dict[str, Turn] = {}
        self.tailed = self.sane = True
        """Whether a script looked since the clock moved; whether one trimmed since it stepped back."""

    # What may happen ----------------------------------------------------------------------------------------------

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """One of the things that can happen now.

        One rule for all: Hypothesis switches rules off at random, and of 3,000 steps it then let 4 settle a push.
        """
        weights = {"enqueue": 4, "turn": 5, "crash": 1, "clock": 2, "sweep": 2, "sweep_a_while": 2, "flush_scripts": 1}
        weights["enqueue_again"] = int(bool(self.model.messages))
        weights["settle"] = 8 * bool(self._current())
        weights["arrive"] = 2 * bool(self._flying())
        weights["settle_a_zombie"] = 5 * bool(self._zombies())
        weights["repeat"] = 2 * any(drain in self.last for drain in self.drains)
        weights["answer"] = 2
        names = [name for name, weight in weights.items() for _ in range(weight)]
        getattr(self, data.draw(st.sampled_from(names), "action"))(data.draw)

    def enqueue(self, draw: _Draw) -> None:
        """New messages, of one sender."""
        conversation, address, first = draw(_rooms), draw(_addresses), len(self.model.messages)
        names = [f"m{number:03}" for number in range(first, first + draw(st.integers(1, 5)))]
        accepted = self.queue.enqueue(conversation, *names, address=address)
        self.tailed = True
        for number, (name, answer) in enumerate(zip(names, accepted, strict=True), first + 1):
            assert (answer.sequence, answer.state, answer.duplicate) == (number, "queued", False)
            self.model.messages[name] = Message(conversation, address, answer.sequence)

    def enqueue_again(self, draw: _Draw) -> None:
        """A repeat of an enqueue whose answer was lost."""
        name = draw(st.sampled_from(sorted(self.model.messages)))
        (answer,) = self.queue.enqueue_again(name)
        self.tailed = True
        known = self.model.messages[name]
        assert (answer.sequence, answer.state, answer.duplicate) == (known.sequence, known.state, True), "I8"

    def turn(self, draw: _Draw) -> None:
        """A drain asks for work."""
        self._turn(draw(st.sampled_from(self.drains)), [], draw(st.integers(0, 4)))

    def settle(self, draw: _Draw) -> None:
        """A push ends while its lease is the current one, in time or late."""
        flight, outcome, accepted = draw(st.sampled_from(self._current())), draw(_outcomes), draw(st.booleans())
        if flight.accepted:
            outcome = Outcome.DELIVERED if accepted else Outcome.UNKNOWN
        if outcome is Outcome.DELIVERED or (outcome is Outcome.UNKNOWN and accepted):
            self.model.accept(flight)
        settlement = self._settlement(flight.claim, outcome, draw(_share))
        self._turn(flight.drain, [(flight, settlement)], draw(st.integers(0, 2)))

    def settle_a_zombie(self, draw: _Draw) -> None:
        """A worker wakes up and settles with a token that is no longer the current one; another one may hold it."""
        flight, outcome = draw(st.sampled_from(self._zombies())), draw(_outcomes)
        self._move_clock(BACKOFF_CAP_MS)
        self._turn(next(drain for drain in self.drains if drain != flight.drain), [], 2)
        if outcome is Outcome.DELIVERED:
            self.model.accept(flight)
        self._turn(flight.drain, [(flight, self._settlement(flight.claim, outcome, draw(_share)))], 0)

    def arrive(self, draw: _Draw) -> None:
        """The API accepts a batch; the worker does not know yet."""
        self.model.accept(draw(st.sampled_from(self._flying())))

    def crash(self, draw: _Draw) -> None:
        """A worker dies with all it knew; what it had sent may have arrived."""
        self._crash(draw(st.integers(0, 1)))

    def clock(self, draw: _Draw) -> None:
        """Time passes, or the server's clock steps."""
        self._move_clock(draw(_steps))

    def sweep(self, draw: _Draw) -> None:
        """A dispatcher sweeps."""
        self._sweep(draw(_share))

    def sweep_a_while(self, draw: _Draw) -> None:
        """Seven sweeps without a break: leases that ran out are found, and their drains become zombies."""
        if draw(st.booleans()):
            self._move_clock(LEASE_MS + 1)
        for _ in range(7):
            self._move_clock(SWEEP_MS)
            self._sweep(jitter=0.5)

    def answer(self, draw: _Draw) -> None:
        """A dispatcher takes the ring; its task starts a drain, or is lost with the broker."""
        if not self.queue.rung():
            return
        slot = draw(st.integers(0, 1))
        if self._flying(self.drains[slot]):
            self.tailed = False  # the task is lost, and only a sweep can make up for it
        else:
            self._crash(slot)
            self._turn(self.drains[slot], [], 2)

    def flush_scripts(self, _draw: _Draw) -> None:
        """The server restarts without its script cache."""
        self.queue.redis.script_flush()

    def repeat(self, draw: _Draw) -> None:
        """A drain repeats its last turn, whose answer it did not get."""
        drain = draw(st.sampled_from([drain for drain in self.drains if drain in self.last]))
        first, before = self.last[drain], self._snapshot()
        again = self.queue.repeat(drain)
        assert self._snapshot() == before, "a repeated turn changes nothing"
        assert again.settled == first.settled
        current = {flight.claim.token for flight in self.model.leases.values()}
        standing = [(claim.token, claim.message_ids) for claim in first.claims if claim.token in current]
        assert [(claim.token, claim.message_ids) for claim in again.claims] == standing

    # What must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def agrees(self) -> None:
        """I1 to I12, and nobody sleeps on claimable work."""
        snapshot = self._snapshot()
        self.model.check(snapshot, CONVERSATIONS)
        if self.tailed and self.sane and snapshot.claimable():
            assert snapshot.somebody_looks(), "claimable work, and nobody will look"

    def teardown(self) -> None:
        """Without faults everything is delivered within a bounded number of rounds, from whatever state."""
        if sys.exc_info()[0] is not None:
            return
        for flight in self._flying():
            flight.drain = ""
            flight.doubtful = True
        self.drains = ["last", "unused"]
        flying: Sequence[Claim] = ()
        for _ in range(ROUNDS):
            if not any(self.model.live(name) for name in CONVERSATIONS):
                break
            self._move_clock(SWEEP_MS)
            self._sweep(jitter=0.0)
            delivered = [(self._flight(claim), self._settlement(claim, Outcome.DELIVERED, 0)) for claim in flying]
            for flight, _settlement in delivered:
                self.model.accept(flight)
            flying = self._turn("last", delivered, 4).claims
        left = {name: self.model.live(name) for name in CONVERSATIONS}
        assert not any(left.values()), f"forgotten after {ROUNDS} fault-free rounds: {left}"
        self.agrees()

    # How it is done -----------------------------------------------------------------------------------------------

    def _crash(self, slot: int) -> None:
        self.crashes += 1
        for flight in self._flying(self.drains[slot]):
            flight.drain = ""
            flight.doubtful = True
        self.drains[slot] = f"d{slot}.{self.crashes}"

    def _snapshot(self) -> Snapshot:
        return take(self.queue, CONVERSATIONS)

    def _flying(self, drain: str | None = None) -> list[Flight]:
        return [flight for flight in self.model.flights if flight.drain and drain in (None, flight.drain)]

    def _current(self) -> list[Flight]:
        return [flight for flight in self._flying() if self.model.leases.get(room(flight.claim)) is flight]

    def _zombies(self) -> list[Flight]:
        return [flight for flight in self._flying() if self.model.leases.get(room(flight.claim)) is not flight]

    def _flight(self, claim: Claim) -> Flight:
        return next(flight for flight in self.model.flights if flight.claim.token == claim.token)

    def _move_clock(self, step: int) -> None:
        self.queue.now += step
        self.tailed = False
        self.sane = self.sane and step > 0

    def _settlement(self, claim: Claim, outcome: Outcome, jitter: float) -> Settlement:
        result = PushResult(outcome, "said so", reached=outcome is not Outcome.UNSENT)
        return Settlement(claim, result, next_step(result, claim.history(), POLICY, jitter))

    def _turn(self, drain: str, settled: Sequence[tuple[Flight, Settlement]], free: int) -> Turn:
        busy = len(self._flying(drain)) - len(settled)
        turn = self.queue.turn(*(settlement for _, settlement in settled), drain=drain, free=free, busy=max(busy, 0))
        self.tailed = self.sane = True
        assert turn.settled == tuple(self.model.settle(*pair) for pair in settled), "only a current token settles"
        for flight, _ in settled:
            flight.drain = ""
        assert len(turn.claims) <= free
        for claim in turn.claims:
            self.model.claim(claim, drain, self.queue.now)
        self.last[drain] = turn
        self._check_turn(turn, free, settled)
        return turn

    def _check_turn(self, turn: Turn, free: int, settled: Sequence[tuple[Flight, Settlement]]) -> None:
        after = self._snapshot()
        reached = sum(
            settlement.result.reached and status for (_, settlement), status in zip(settled, turn.settled, strict=True)
        )
        assert list(after.rate).count(self.queue.now + 1) >= reached, "a push that reached the API keeps its place"
        if after.claimable():
            assert len(turn.claims) == free, "I9: a free place and claimable work"
            assert turn.wait_ms == 0
        horizon = self.queue.now + BACKOFF_CAP_MS
        assert all(due <= horizon for due in after.delayed.values()), "I5: no wait beyond the longest backoff"

    def _sweep(self, jitter: float) -> None:
        swept = self.queue.sweep()
        if not swept.ran:
            return
        self.tailed = self.sane = True
        settled = []
        for listed in swept.expired:
            flight = self.model.leases[room(listed)]
            assert listed.token == flight.claim.token
            over = flight.deadline <= self.queue.now or flight.deadline > self.queue.now + MAX_LEASE_MS
            assert over, "I6: only a lease that ran out is taken away"
            settled.append(
                (flight, Settlement(listed, LOST, next_step(LOST, listed.history(), POLICY, jitter), lost=True))
            )
        if settled:
            drains = [flight.drain for flight, _ in settled]
            self._turn(SWEEPER, settled, 0)
            # Their drains may live, and settle with an old token one day.
            for (flight, _), drain in zip(settled, drains, strict=True):
                flight.drain = drain


def walk(redis: Redis, how: settings) -> None:
    """Runs the machine on this server."""

    class Walk(QueueMachine):
        def __init__(self) -> None:
            super().__init__(redis)

    run_state_machine_as_test(Walk, settings=how)
