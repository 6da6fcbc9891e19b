"""A random walk over everything that can happen to a channel, checked against the model after each step."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from support.queue import LEASE_MS, LOST, SWEEPER, Queue, Turn, room
from support.queue_model import MAX_ATTEMPTS, MAX_LEASE_MS, Flight, Message, Model
from support.queue_snapshot import Snapshot, take

from pushlane_worker.outcome import Outcome, PushResult
from pushlane_worker.retry import RetryPolicy, next_step
from pushlane_worker.store import Settlement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis import settings
    from redis import Redis

    from pushlane_worker.store import Claim

CONVERSATIONS = ("a", "b")
ADDRESSES = (b"", b'["alice",null]')
SWEEP_MS = 950
DAY_MS = 100_000_000
BACKOFF_CAP_S = 10.0
POLICY = RetryPolicy(MAX_ATTEMPTS, 1e9, 1.0, BACKOFF_CAP_S, 60.0, "retry")
FIELDS = {
    "rate_limit": 30,
    "rate_window_ms": 20_000,
    "breaker_after": 3,
    "breaker_cap_ms": 5000,
    "retry_after_cap_ms": 60_000,
    "backoff_cap_ms": round(BACKOFF_CAP_S * 1000),
}
ROUNDS = 400

_rooms = st.sampled_from(CONVERSATIONS[:1] * 3 + CONVERSATIONS[1:])
_addresses = st.sampled_from(ADDRESSES[:1] * 3 + ADDRESSES[1:])
_steps = st.sampled_from([1, 1, SWEEP_MS, 5000, LEASE_MS + 1, LEASE_MS + 1, LEASE_MS + 1, -50, DAY_MS, -DAY_MS])
_outcomes = st.sampled_from([*[Outcome.DELIVERED] * 4, *[Outcome.FAILED] * 2, *[Outcome.UNKNOWN] * 2, *Outcome])
_slots = st.integers(0, 1)
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

    @rule(conversation=_rooms, count=st.integers(1, 5), address=_addresses)
    def enqueue(self, conversation: str, count: int, address: bytes) -> None:
        """New messages, of one sender."""
        first = len(self.model.messages)
        names = [f"m{number:03}" for number in range(first, first + count)]
        accepted = self.queue.enqueue(conversation, *names, address=address)
        self.tailed = True
        for number, (name, answer) in enumerate(zip(names, accepted, strict=True), first + 1):
            assert (answer.sequence, answer.state, answer.duplicate) == (number, "queued", False)
            self.model.messages[name] = Message(conversation, address, answer.sequence)

    @precondition(lambda self: self.model.messages)
    @rule(share=_share)
    def enqueue_again(self, share: float) -> None:
        """A repeat of an enqueue whose answer was lost."""
        name = list(self.model.messages)[int(share * len(self.model.messages))]
        (answer,) = self.queue.enqueue_again(name)
        self.tailed = True
        known = self.model.messages[name]
        assert (answer.sequence, answer.state, answer.duplicate) == (known.sequence, known.state, True), "I8"

    @rule(slot=_slots, free=st.integers(0, 4))
    def turn(self, slot: int, free: int) -> None:
        """A drain asks for work."""
        self._turn(self.drains[slot], [], free)

    @precondition(lambda self: self._flying())
    @rule(share=_share, outcome=_outcomes, free=st.integers(0, 2), jitter=_share, accepted=st.booleans())
    def settle(self, share: float, outcome: Outcome, free: int, jitter: float, accepted: bool) -> None:  # noqa: FBT001 # drawn
        """A push ends: in time, late, or as that of a worker which has lost its lease and its mind."""
        flying = self._flying()
        flight = flying[int(share * len(flying))]
        if flight.accepted:
            outcome = Outcome.DELIVERED if accepted else Outcome.UNKNOWN
        if outcome is Outcome.DELIVERED or (outcome is Outcome.UNKNOWN and accepted):
            self.model.accept(flight)
        self._turn(flight.drain, [(flight, self._settlement(flight.claim, outcome, jitter))], free)

    @precondition(lambda self: self._zombies())
    @rule(share=_share, outcome=_outcomes, jitter=_share)
    def settle_a_zombie(self, share: float, outcome: Outcome, jitter: float) -> None:
        """A worker wakes up and settles with a token that is no longer the current one."""
        zombies = self._zombies()
        flight = zombies[int(share * len(zombies))]
        if outcome is Outcome.DELIVERED:
            self.model.accept(flight)
        self._turn(flight.drain, [(flight, self._settlement(flight.claim, outcome, jitter))], 0)

    @precondition(lambda self: self._flying())
    @rule(share=_share)
    def arrive(self, share: float) -> None:
        """The API accepts a batch; the worker does not know yet."""
        flying = self._flying()
        self.model.accept(flying[int(share * len(flying))])

    @rule(slot=_slots)
    def crash(self, slot: int) -> None:
        """A worker dies with all it knew; what it had sent may have arrived."""
        self.crashes += 1
        for flight in self._flying(self.drains[slot]):
            flight.drain = ""
            flight.doubtful = True
        self.drains[slot] = f"d{slot}.{self.crashes}"

    @rule(step=_steps)
    def clock(self, step: int) -> None:
        """Time passes, or the server's clock steps."""
        self._move_clock(step)

    @rule()
    def sweep(self) -> None:
        """A dispatcher sweeps."""
        self._sweep(jitter=0.5)

    @rule(jitter=_share, late=st.booleans())
    def sweep_a_while(self, jitter: float, late: bool) -> None:  # noqa: FBT001 # drawn
        """Seven sweeps without a break: leases that ran out are found, and their drains become zombies."""
        if late:
            self._move_clock(LEASE_MS + 1)
        for _ in range(7):
            self._move_clock(SWEEP_MS)
            self._sweep(jitter)

    @rule(slot=_slots, lost=st.booleans())
    def answer(self, slot: int, lost: bool) -> None:  # noqa: FBT001 # drawn
        """A dispatcher takes the ring; its task starts a drain, or is lost with the broker."""
        if not self.queue.rung():
            return
        if lost:
            self.tailed = False  # only a sweep can make up for it
        elif not self._flying(self.drains[slot]):
            self.crash(slot)
            self._turn(self.drains[slot], [], 2)

    @rule()
    def flush_scripts(self) -> None:
        """The server restarts without its script cache."""
        self.queue.redis.script_flush()

    @precondition(lambda self: self.last)
    @rule(slot=_slots)
    def repeat(self, slot: int) -> None:
        """A drain repeats its last turn, whose answer it did not get."""
        drain = self.drains[slot]
        if drain not in self.last:
            return
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

    def _snapshot(self) -> Snapshot:
        return take(self.queue, CONVERSATIONS)

    def _flying(self, drain: str | None = None) -> list[Flight]:
        return [flight for flight in self.model.flights if flight.drain and drain in (None, flight.drain)]

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
        assert list(after.rate).count(self.queue.now) >= reached, "a push that reached the API keeps its place"
        if after.claimable():
            assert len(turn.claims) == free, "I9: a free place and claimable work"
            assert turn.wait_ms == 0
        horizon = self.queue.now + round(BACKOFF_CAP_S * 1000)
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
