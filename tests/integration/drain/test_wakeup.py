"""The wake-up protocol: claimable work always has a ring, a task on its way, or a drain that looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.queue import Queue, settle

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from redis import Redis

TICKET_MS = 1000
LISTEN_MS = 250


def _lapse(queue: Queue) -> None:
    """Forgets the ring: whoever took it off the bell died, and its ticket is over."""
    queue.rung()
    queue.now += TICKET_MS


def _delayed(redis: Redis, wait_ms: int) -> Queue:
    """A queue with nothing but a conversation that backs off, which nobody has rung for."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.rung()
    queue.turn(settle(queue.turn().claims[0], Outcome.FAILED, wait_ms=wait_ms, dead="0"), drain="late", free=-1)
    queue.rung()
    return queue


def test_work_that_nobody_looks_at_rings(redis: Redis) -> None:
    """One message in an idle channel wakes a worker."""
    queue = Queue(redis)
    assert not queue.rung()
    queue.enqueue("a", "a1")
    assert queue.rung()


def test_a_ring_that_is_out_is_not_repeated(redis: Redis) -> None:
    """For a second a thousand messages are one ring; after that it counts as lost."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    assert queue.rung()
    queue.now += TICKET_MS - 1
    queue.enqueue("a", "a2")
    queue.sweep()
    assert not queue.rung()
    queue.now += 1
    queue.enqueue("b", "b1")
    assert queue.rung()


def test_a_ring_in_the_future_counts_as_lost(redis: Redis) -> None:
    """A clock that stepped back silences nothing."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.rung()
    queue.now -= 1
    queue.enqueue("b", "b1")
    assert queue.rung()


def test_a_drains_first_turn_answers_the_ring(redis: Redis) -> None:
    """The ticket is gone with turn 0, so that the next work rings at once."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    assert queue.rung()
    queue.turn(free=1)
    assert queue.pending_ms() is None
    queue.enqueue("b", "b1")
    assert queue.rung()


def test_a_later_turn_answers_no_ring(redis: Redis) -> None:
    """It was there before the ring: the task that the ring started is still on its way."""
    queue = Queue(redis)
    queue.turn()
    queue.enqueue("a", "a1")
    queue.turn()
    assert queue.pending_ms() == queue.now


def test_a_drain_with_a_free_place_needs_no_ring(redis: Redis) -> None:
    """It looks by itself within 20 ms; it counts for 250 ms from its last turn."""
    queue = Queue(redis)
    queue.turn(busy=1)
    queue.now += LISTEN_MS - 1
    queue.enqueue("a", "a1")
    assert not queue.rung()
    queue.now += 1
    queue.enqueue("b", "b1")
    assert queue.rung()


def test_a_listener_from_the_future_is_void(redis: Redis) -> None:
    """A clock that stepped back does not keep a dead drain listening for an hour."""
    queue = Queue(redis)
    queue.turn(busy=1)
    queue.now -= 1
    queue.enqueue("a", "a1")
    assert queue.rung()
    queue.turn(drain="e", busy=1, free=2)
    assert queue.listeners() == ["e"]


def test_a_full_drain_does_not_listen(redis: Redis) -> None:
    """What it leaves behind rings for another one."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.enqueue("b", "b1")
    _lapse(queue)
    queue.turn(free=1)
    assert queue.listeners() == []
    assert queue.rung()


def test_a_full_drain_vouches_for_the_ring_that_is_out(redis: Redis) -> None:
    """While it works at full load, a task that waits behind it for a place to run is not taken for lost."""
    queue = Queue(redis)
    for n in range(3):
        queue.enqueue(f"r{n}", f"m{n}")
    (claim,) = queue.turn(free=1).claims
    assert queue.rung()
    for _ in range(2):
        queue.now += TICKET_MS - 1
        turn = queue.turn(settle(claim), free=1)
        assert (queue.rung(), queue.pending_ms()) == (False, queue.now)
        claim = turn.claims[0]


@pytest.mark.parametrize(("free", "vouches"), [(0, True), (-1, False)])
def test_a_full_drain_vouches_for_the_ring_and_one_that_only_settles_does_not(
    redis: Redis,
    free: int,
    vouches: bool,  # noqa: FBT001 # pytest's table
) -> None:
    """While it claims, a drain without a free place will take the work itself; one that has left never will."""
    queue = Queue(redis)
    for n in range(2):
        queue.enqueue(f"r{n}", f"m{n}")
    queue.turn(free=1)
    assert queue.rung()
    rang = queue.now
    queue.now += TICKET_MS - 1
    queue.turn(free=free, busy=1)
    assert queue.pending_ms() == (queue.now if vouches else rang)
    queue.now += 1
    queue.sweep()
    assert queue.rung() == (not vouches)


def test_a_drain_that_leaves_idle_is_off_the_listeners_in_the_same_call(redis: Redis) -> None:
    """No message can fall between its last look and its leaving."""
    queue = Queue(redis)
    queue.turn(busy=1)
    assert queue.listeners() == ["d"]
    turn = queue.turn()
    assert (turn.claims, turn.wait_ms, turn.leaves, queue.listeners()) == ((), -1, True, [])
    queue.enqueue("a", "a1")
    assert queue.rung()


def test_a_drain_stays_for_what_is_due_within_a_second(redis: Redis) -> None:
    """Waking one takes longer than the wait."""
    queue = _delayed(redis, 1001)
    assert queue.turn().leaves
    assert queue.listeners() == []
    queue.now += 1
    turn = queue.turn()
    assert (turn.wait_ms, turn.soon, turn.leaves) == (1000, True, False)
    assert queue.listeners() == ["d"]


@pytest.mark.parametrize(("wait_ms", "soon"), [(1000, True), (1001, False)])
def test_a_drain_does_not_leave_while_it_has_a_push_in_flight(redis: Redis, wait_ms: int, *, soon: bool) -> None:
    """But it says when there is nothing to claim soon: a push that hangs must not keep it."""
    queue = _delayed(redis, wait_ms)
    turn = queue.turn(busy=1)
    assert (turn.soon, turn.leaves, queue.listeners()) == (soon, False, ["d"])


def test_a_drain_that_claims_does_not_leave(redis: Redis) -> None:
    """Nor does one whose last turn was lost on the way: its repeat may bring claims."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    for turn in (queue.turn(), queue.repeat()):
        assert (len(turn.claims), turn.soon, turn.leaves) == (1, True, False)
    queue.turn(settle(turn.claims[0]))
    assert not queue.repeat().leaves


def test_a_drain_whose_slice_is_over_rings_for_what_it_leaves(redis: Redis) -> None:
    """It claims no more, so somebody else has to."""
    queue = Queue(redis)
    queue.turn(busy=1)
    queue.enqueue("a", "a1")
    queue.turn(free=-1)
    assert queue.rung()


@pytest.mark.parametrize(("wait_ms", "rings"), [(1000, True), (1001, False)])
def test_a_drain_that_settles_only_rings_for_what_it_would_have_stayed_for(
    redis: Redis,
    wait_ms: int,
    rings: bool,  # noqa: FBT001 # pytest's table
) -> None:
    """A conversation that is due within a second is somebody's now, not the next sweep's."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    (claim,) = queue.turn().claims
    queue.rung()
    queue.turn(settle(claim, Outcome.FAILED, wait_ms=wait_ms, dead="0"), free=-1)
    assert queue.rung() == rings


def test_a_push_settled_after_its_drain_left_rings(redis: Redis) -> None:
    """Its conversation has more, and nobody knows but this turn."""
    queue = Queue(redis)
    queue.enqueue("a", *(f"a{n}" for n in range(11)))
    (claim,) = queue.turn().claims
    queue.turn(free=-1, busy=1)
    queue.rung()
    queue.turn(settle(claim), free=-1)
    assert queue.rung()


def test_a_sweep_rings_for_what_is_due_within_a_second(redis: Redis) -> None:
    """So a drain stands ready at that time; for anything later the next sweep rings."""
    queue = _delayed(redis, 5000)
    queue.now += 3999
    queue.sweep()
    assert not queue.rung()
    queue.now += 901
    queue.sweep()
    assert queue.rung()


def test_a_sweep_makes_up_for_a_lost_ring(redis: Redis) -> None:
    """Flush the broker, kill the dispatcher: a second later the channel rings again."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    _lapse(queue)
    queue.sweep()
    assert queue.rung()


def test_a_registration_rings_for_work_that_waits(redis: Redis) -> None:
    """The first worker after a pause drains what has gathered."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    _lapse(queue)
    assert not queue.register()
    assert queue.rung()


def test_nothing_rings_for_work_that_can_not_be_claimed(redis: Redis) -> None:
    """A closed gate, a spent budget or a leased conversation is no reason to wake anybody."""
    queue = Queue(redis, rate_limit=1)
    queue.enqueue("a", "a1")
    (claim,) = queue.turn().claims
    _lapse(queue)
    queue.enqueue("b", "b1")
    queue.turn(settle(claim, Outcome.THROTTLED, wait_ms=30_000), free=-1)
    queue.enqueue("c", "c1")
    queue.sweep()
    queue.register()
    assert not queue.rung()


def test_nothing_spins(redis: Redis) -> None:
    """Ten seconds of a closed gate with work behind it: the fleet sleeps until the last second, then claims in time."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2")
    queue.turn(settle(queue.turn().claims[0], Outcome.THROTTLED, wait_ms=10_000), free=-1)
    queue.rung()
    opens, next_sweep, drain, rings, turns = queue.now + 10_000, queue.now, 0, 0, 0
    listening = claimed = False
    while not claimed:
        queue.now += 20
        if queue.now >= next_sweep:
            queue.sweep()
            next_sweep = queue.now + 950
        if queue.rung():
            rings, drain, listening = rings + 1, drain + 1, True
        if listening:
            turn = queue.turn(drain=f"drain{drain}")
            turns += 1
            claimed = bool(turn.claims)
            listening = 0 <= turn.wait_ms <= TICKET_MS
    assert queue.now - opens < 20
    assert (rings, drain) == (1, 1)
    assert turns <= TICKET_MS // 20 + 1
