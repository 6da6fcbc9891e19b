"""The hands of a random walk: each call of a script that it makes, told to the model and checked against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support import queue_invariants
from support.queue import LOST, SWEEPER, Queue, Turn, room
from support.queue_model import MAX_ATTEMPTS, MAX_LEASE_MS, Model
from support.queue_snapshot import Snapshot, take

from pushlane.outcome import Outcome
from pushlane_worker.queue.outcome import PushResult
from pushlane_worker.queue.retry import RetryPolicy, next_step
from pushlane_worker.queue.turns import Settlement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis
    from support.queue_message import Flight

    from pushlane_worker.queue.turns import Claim

CONVERSATIONS = ("a", "b")
BACKOFF_CAP_MS = 10_000
LONGEST_WAIT_MS = 120_000
POLICY = RetryPolicy(MAX_ATTEMPTS, 1e9, 1.0, BACKOFF_CAP_MS / 1000, 60.0, "retry", 10.0)
FIELDS = {
    "rate_limit": 30,
    "rate_window_ms": 20_000,
    "breaker_after": 3,
    "breaker_cap_ms": 5000,
    "retry_after_cap_ms": 60_000,
    "backoff_cap_ms": BACKOFF_CAP_MS,
    # A walk may take its clock days ahead and back, and judges finished messages to its end.
    "retention_ms": 100 * 86_400_000,
}


class Walker:
    """A channel, its model, and two drains that crash and freeze.

    Attributes:
        tailed: Whether a script looked since the clock moved.
        sane: Whether one trimmed since the clock stepped back.
    """

    def __init__(self, redis: Redis) -> None:
        redis.flushall()
        self.queue = Queue(redis, "support", **FIELDS)
        self.model = Model()
        self.drains = ["d0.0", "d1.0"]
        self.crashes = 0
        self.last: dict[str, Turn] = {}
        self.tailed = self.sane = True

    @property
    def now(self) -> int:
        """The clock of all calls in ms."""
        return self.queue.now

    def crash(self, slot: int) -> None:
        """A worker dies with all it knew."""
        self.crashes += 1
        for flight in self.flying(self.drains[slot]):
            flight.drain = ""
            flight.doubtful = True
        self.drains[slot] = f"d{slot}.{self.crashes}"

    def snapshot(self) -> Snapshot:
        """The channel as it is; the model learns from it what only Redis knows."""
        snapshot = take(self.queue, CONVERSATIONS)
        queue_invariants.learn(self.model, snapshot)
        return snapshot

    def flying(self, drain: str | None = None) -> list[Flight]:
        """What living drains push, or one of them."""
        return [flight for flight in self.model.flights if flight.drain and drain in (None, flight.drain)]

    def current(self) -> list[Flight]:
        """Those of them whose lease is the current one."""
        return [flight for flight in self.flying() if self.model.leases.get(room(flight.claim)) is flight]

    def zombies(self) -> list[Flight]:
        """Those of them whose lease is lost."""
        return [flight for flight in self.flying() if self.model.leases.get(room(flight.claim)) is not flight]

    def flight_of(self, claim: Claim) -> Flight:
        """The flight of a claim."""
        return next(flight for flight in self.model.flights if flight.claim.token == claim.token)

    def move_clock(self, step: int, *, noticed: bool = False) -> None:
        """Time passes, or steps; a step ahead may be noticed by the process that calls next."""
        if noticed and step > 0:
            self.queue.latest = self.queue.now - int(self.queue.gate().get("stepped", 0))
        self.queue.now += step
        self.tailed = False
        self.sane = self.sane and step > 0

    def settlement(self, claim: Claim, outcome: Outcome, jitter: float) -> Settlement:
        """What a push of this outcome makes of its claim; half of those that are throttled are so perhaps alone."""
        lone = outcome is Outcome.THROTTLED and jitter < 0.5
        result = PushResult(outcome, "said so", reached=outcome is not Outcome.UNSENT, lone=lone)
        return Settlement(claim, result, next_step(result, claim.history(), POLICY, jitter, claim.early_ms))

    def turn(self, drain: str, settled: Sequence[tuple[Flight, Settlement]], free: int) -> Turn:
        """A turn of this drain, which stays for the next message if it has an odd number of free slots."""
        busy = max(len(self.flying(drain)) - len(settled), 0)
        settlements = [settlement for _, settlement in settled]
        turn = self.queue.turn(*settlements, drain=drain, free=free, busy=busy, stays=free % 2 == 1)
        self.queue.latest = ""
        self.tailed = self.sane = True
        answers = zip(settled, turn.settled, strict=True)
        assert turn.settled == tuple(self.model.settle(*pair, self.now, status) for pair, status in answers), (
            "only a current token settles"
        )
        for flight, _ in settled:
            flight.drain = ""
        self.model.join_due(self.now)
        assert len(turn.claims) <= free
        for claim in turn.claims:
            self.model.claim(claim, drain, self.now)
            sent = {name.decode(): self.model.messages[name.decode()].trace.encode() for name in claim.message_ids}
            assert claim.traces() in ([sent] if any(sent.values()) else [{}, sent]), "a claim has its messages' traces"
        self.last[drain] = turn
        self._check_turn(turn, free, settled)
        return turn

    def _check_turn(self, turn: Turn, free: int, settled: Sequence[tuple[Flight, Settlement]]) -> None:
        after = self.snapshot()
        reached = sum(
            settlement.result.reached and status > 0
            for (_, settlement), status in zip(settled, turn.settled, strict=True)
        )
        assert list(after.rate).count(self.queue.rate_clock + 1) >= reached, (
            "a push that reached the API keeps its place"
        )
        if after.claimable():
            assert len(turn.claims) == free, "I9: a free place and claimable work"
            assert turn.wait_ms == 0
        horizon = self.now + LONGEST_WAIT_MS
        assert all(due <= horizon for due in after.delayed.values()), "I5: no wait beyond the longest"

    def sweep(self, jitter: float) -> None:
        """A sweep, which settles the leases that ran out."""
        swept = self.queue.sweep()
        if not swept.ran:
            return
        self.tailed = self.sane = True
        self.model.join_due(self.now)
        self.snapshot()  # it may have ended holds
        settled = []
        for listed in swept.expired:
            flight = self.model.leases[room(listed)]
            assert listed.token == flight.claim.token
            over = flight.deadline <= self.now or flight.deadline > self.now + MAX_LEASE_MS
            assert over, "I6: only a lease that ran out is taken away"
            settled.append(
                (flight, Settlement(listed, LOST, next_step(LOST, listed.history(), POLICY, jitter), lost=True))
            )
        if settled:
            drains = [flight.drain for flight, _ in settled]
            self.turn(SWEEPER, settled, 0)
            # Their drains may live, and settle with an old token one day.
            for (flight, _), drain in zip(settled, drains, strict=True):
                flight.drain = drain
