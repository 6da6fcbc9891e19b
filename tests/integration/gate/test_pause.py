"""A paused channel: nothing new is pushed, what is in flight ends as it does, and the gate forgets nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.queue import LEASE_MS, Queue, settle

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from redis import Redis


def _paused(redis: Redis, **fields: int) -> Queue:
    """A paused channel with a message that waits."""
    queue = Queue(redis, "support", **fields)
    queue.enqueue("a", "a1")
    assert queue.pause()
    queue.rung()
    return queue


def test_a_paused_channel_claims_nothing(redis: Redis) -> None:
    """However long: only an operator can tell when it goes on. It takes messages meanwhile."""
    queue = _paused(redis)
    turn = queue.turn()
    assert (turn.claims, turn.wait_ms, turn.why) == ((), -1, "gate")
    queue.enqueue("b", "b1")
    queue.now += 10 * LEASE_MS
    queue.sweep()
    assert (queue.turn().claims, queue.rung(), queue.listeners()) == ((), False, [])
    assert queue.pause(paused=False)
    assert queue.turn().batches == ["a1", "b1"]


def test_the_gate_says_since_when_a_channel_is_paused(redis: Redis) -> None:
    """And nothing of it is left afterwards."""
    queue = _paused(redis)
    since = queue.now
    queue.now += 500
    assert queue.gate()["paused"] == str(since)
    queue.pause(paused=False)
    assert "paused" not in queue.gate()


def test_a_push_in_flight_ends_as_it_does(redis: Redis) -> None:
    """Delivered or failed, it is settled; what it leaves waits."""
    queue = Queue(redis)
    for name in "ab":
        queue.enqueue(name, f"{name}1")
    delivered, failed = queue.turn().claims
    queue.enqueue("a", "a2")
    queue.pause()
    turn = queue.turn(settle(delivered), settle(failed, Outcome.FAILED, wait_ms=100, dead="0"))
    assert (turn.settled, turn.claims) == ((1, 1), ())
    assert (queue.header("a1").state, queue.header("b1").attempts) == ("delivered", 1)
    queue.assert_counters()


def test_a_lease_that_runs_out_is_listed_while_paused(redis: Redis) -> None:
    """A crash is found out about, but nothing is pushed again yet."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.turn()
    queue.pause()
    swept = queue.sweep_for(LEASE_MS + 6000)
    assert len(swept.expired) == 1
    queue.expire(swept.expired, dead="0")
    assert (queue.places("a"), queue.turn().claims) == (["ready"], ())


def test_what_is_due_joins_while_paused(redis: Redis) -> None:
    """Time goes on: the order is the same as without the pause."""
    queue = _paused(redis)
    queue.enqueue("a", "later", due="+500")
    queue.now += 1000
    queue.sweep()
    queue.enqueue("a", "a2")
    queue.pause(paused=False)
    assert queue.turn().batches == ["a1 later a2"]


def test_a_pause_outlasts_a_throttle(redis: Redis) -> None:
    """Its time runs on below; a channel that goes on too early is still throttled."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.turn(settle(queue.turn().claims[0], Outcome.THROTTLED, wait_ms=9000), free=-1)
    queue.pause()
    assert queue.gate()["state"] == "throttled"
    queue.now += 8000
    queue.pause(paused=False)
    early = queue.turn()
    assert (early.claims, early.wait_ms, early.why) == ((), 1000, "gate")
    queue.pause()
    queue.now += 60_000
    queue.sweep()
    assert queue.turn().claims == ()
    queue.pause(paused=False)
    assert queue.turn().batches == ["a1"]


def test_a_broken_gate_is_broken_after_a_pause(redis: Redis) -> None:
    """One probe first, as before; none goes out meanwhile."""
    queue = Queue(redis, breaker_after=1)
    for name in "abc":
        queue.enqueue(name, f"{name}1")
    queue.turn(settle(queue.turn(free=1).claims[0], Outcome.FAILED, wait_ms=100, dead="0"), free=-1)
    before = queue.gate()
    queue.pause()
    queue.now += 60_000
    assert queue.turn().claims == ()
    queue.pause(paused=False)
    assert queue.gate() == before
    assert [claim.probe for claim in queue.turn().claims] == [True]


def test_an_outcome_while_paused_moves_the_gate(redis: Redis) -> None:
    """What the API says is true whether one wants to push or not; the pause stays."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    (claim,) = queue.turn().claims
    queue.pause()
    queue.turn(settle(claim, Outcome.MISCONFIGURED, detail="401"), free=-1)
    assert (queue.gate()["state"], "paused" in queue.gate()) == ("broken", True)


def test_going_on_rings_for_what_waits(redis: Redis) -> None:
    """At once; and a pause rings nobody."""
    queue = _paused(redis)
    queue.now += LEASE_MS
    assert not queue.rung()
    queue.pause(paused=False)
    assert queue.rung()


def test_going_on_with_nothing_to_do_rings_nobody(redis: Redis) -> None:
    """An empty channel needs no drain."""
    queue = Queue(redis)
    queue.pause()
    queue.pause(paused=False)
    assert not queue.rung()


def test_pausing_twice_is_harmless(redis: Redis) -> None:
    """The first time counts, and one word lets it go on."""
    queue = _paused(redis)
    since = queue.gate()["paused"]
    queue.now += 1000
    assert not queue.pause()
    assert queue.gate()["paused"] == since
    assert queue.pause(paused=False)
    assert not queue.pause(paused=False)
    assert queue.turn().batches == ["a1"]


def test_an_unregistered_channel_can_not_be_paused(redis: Redis) -> None:
    """It says so, and leaves no gate behind."""
    queue = Queue(redis)
    redis.delete(queue.prefix + "channel")
    assert queue._call("pause", 1) == -2
    assert redis.exists(queue.prefix + "gate") == 0


def test_a_paused_channel_cancels_skips_and_replays(redis: Redis) -> None:
    """An operator may clear up before it goes on; none of it rings."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.enqueue("b", "b1")
    one, _ = queue.turn(free=2).claims
    queue.turn(settle(one, Outcome.FAILED, wait_ms=5000, dead="0"), free=-1)
    queue.pause()
    queue.now += LEASE_MS
    queue.rung()
    assert queue.skip("a") == ["skipped", "a1"]
    assert queue.replay("a1") == [1, 0, 0]
    assert queue.cancel("a1") == "cancelled"
    assert not queue.rung()


def test_a_registration_lets_a_misconfigured_gate_probe_at_once(redis: Redis) -> None:
    """A worker that starts may have the right token; a gate that is broken otherwise waits on."""
    queue = Queue(redis, breaker_after=1)
    queue.enqueue("a", "a1")
    queue.turn(settle(queue.turn().claims[0], Outcome.MISCONFIGURED, detail="401"), free=-1)
    queue.now += 5000
    assert queue.turn().claims == ()
    queue.now += 5000
    queue.rung()
    queue.register()
    assert queue.rung()
    (probe,) = queue.turn().claims
    assert probe.probe
    queue.turn(settle(probe), free=-1)
    queue.enqueue("a", "a2")
    queue.turn(settle(queue.turn().claims[0], Outcome.FAILED, wait_ms=10, dead="0"), free=-1)
    queue.register()
    assert queue.turn().claims == ()
