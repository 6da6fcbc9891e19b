"""Sweeps: one a channel each 0.7 s at most, and no lease is taken from a drain that Redis kept from settling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.queue import LEASE_MS, Queue, ids, settle

from pushlane.message_record import HEADER_BYTES
from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from redis import Redis

DAY_MS = 86_400_000


def _crashed(redis: Redis, conversations: int = 1) -> Queue:
    """A queue of leased conversations, swept without a break, whose worker is gone."""
    queue = Queue(redis)
    redis.hset(queue.prefix + "gate", mapping={"state": "open", "cap": 1000})
    for n in range(conversations):
        queue.enqueue(f"r{n}", f"m{n}")
    queue.sweep_for(6000)
    assert len(queue.turn().claims) == conversations
    return queue


def test_one_sweep_of_the_fleet_runs_each_700_ms(redis: Redis) -> None:
    """Dispatchers with other channels beside it ask, too; one of them sweeps."""
    queue = Queue(redis)
    assert queue.sweep().ran
    assert not queue.sweep().ran
    queue.now += 699
    assert not queue.sweep().ran
    queue.now += 1
    assert queue.sweep().ran


def test_only_who_left_something_goes_on_at_once(redis: Redis) -> None:
    """A fleet that sweeps back to back keeps producers waiting. Another one takes over from one that fell silent."""
    queue = Queue(redis)
    redis.zadd(queue.prefix + "delayed", {f"r{n}": queue.now for n in range(3500)})
    assert queue.sweep().more
    assert not queue.sweep("another").ran
    assert queue.sweep().more
    queue.now += 99
    assert not queue.sweep("another").ran
    queue.now += 1
    assert queue.sweep("another").more
    assert not queue.sweep().ran
    assert not queue.sweep("another").more
    queue.now += 100
    assert not queue.sweep("another").ran


def test_a_clock_that_steps_back_does_not_stop_the_sweeps(redis: Redis) -> None:
    """The last sweep then lies in the future, which says nothing."""
    queue = Queue(redis)
    queue.sweep()
    queue.now -= DAY_MS
    assert queue.sweep().ran


def test_a_lease_that_ran_out_is_listed_with_its_messages_headers(redis: Redis) -> None:
    """Everything a dispatcher needs to settle it, and no text; not before its deadline."""
    queue = _crashed(redis)
    assert queue.sweep_for(LEASE_MS - 1000).expired == ()
    (claim,) = queue.sweep_for(1000).expired
    assert (claim.conversation, claim.token, ids(claim)) == (b"r0", b"d:0:0", "m0")
    assert [len(record) for record in claim.records] == [HEADER_BYTES + len("r0m0")]
    assert (claim.attempt(), [one.attempts for one in claim.history()]) == (1, [0])
    assert queue.expire([claim], dead="0").settled == (1,)
    assert queue.places("r0") == ["ready"]


def test_leases_are_listed_only_after_five_seconds_of_sweeps(redis: Redis) -> None:
    """After an outage of Redis the drains, which have waited too, settle first."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.turn(lease_ms=500)
    queue.now += LEASE_MS
    assert queue.sweep_for(4000).expired == ()
    assert len(queue.sweep_for(1000).expired) == 1


def test_a_gap_between_sweeps_starts_the_five_seconds_anew(redis: Redis) -> None:
    """More than 2.5 s without a sweep is an outage, also in the middle of a lease."""
    queue = _crashed(redis)
    queue.sweep_for(LEASE_MS - 1000)
    queue.now += 2501
    assert queue.sweep_for(4000).expired == ()
    assert len(queue.sweep_for(1000).expired) == 1


def test_a_short_gap_is_no_break(redis: Redis) -> None:
    """A late sweep is not an outage."""
    queue = _crashed(redis)
    queue.sweep_for(LEASE_MS - 2000)
    queue.now += 2500
    assert len(queue.sweep().expired) == 1


def test_a_clock_that_jumps_ahead_takes_no_lease_from_a_living_drain(redis: Redis) -> None:
    """All deadlines seem past at once; the drains get their five seconds to settle."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.sweep_for(6000)
    claim = queue.turn().claims[0]
    queue.now += DAY_MS
    assert queue.sweep_for(4000).expired == ()
    assert queue.turn(settle(claim)).settled == (1,)


def test_at_most_twenty_leases_are_listed_at_once(redis: Redis) -> None:
    """And `more` says so: the dispatcher settles them and sweeps again at once."""
    queue = _crashed(redis, conversations=45)
    listed = []
    swept = queue.sweep_for(LEASE_MS)
    while swept.expired:
        listed.append((len(swept.expired), swept.more))
        queue.expire(swept.expired, dead="0", wait_ms=60_000)
        if not swept.more:
            queue.now += 1000
        swept = queue.sweep()
    assert listed == [(20, True), (20, True), (5, False)]
    assert redis.zcard(queue.prefix + "leases") == 0


def test_a_lease_that_ends_too_far_in_the_future_is_void(redis: Redis) -> None:
    """No lease lasts over five minutes: the clock stepped back."""
    queue = _crashed(redis)
    queue.now -= DAY_MS
    assert queue.sweep_for(4000).expired == ()
    assert len(queue.sweep_for(1000).expired) == 1


def test_what_is_due_is_ready_after_a_sweep(redis: Redis) -> None:
    """Also when no drain runs, and at most a thousand conversations a call."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.turn(settle(queue.turn().claims[0], Outcome.FAILED, wait_ms=5000, dead="0"), free=-1)
    redis.zadd(queue.prefix + "delayed", {f"other{n}": queue.now + n for n in range(1500)})
    queue.now += 5000
    assert queue.sweep().more
    assert redis.zcard(queue.prefix + "ready") == 1000
    assert not queue.sweep().more
    assert queue.places("a") == ["ready"]


def test_the_lease_of_a_newer_workers_batch_is_left_to_a_newer_dispatcher(redis: Redis) -> None:
    """It knows the layout; and it does not keep this one from the other leases."""
    queue = _crashed(redis, 2)
    queue.overwrite("m0", "version", "3")
    before = queue.record("m0")
    (claim,) = queue.sweep_for(LEASE_MS).expired
    assert ids(claim) == "m1"
    assert queue.status("m0") is None
    assert (queue.places("r0"), queue.record("m0")) == (["leases"], before)
