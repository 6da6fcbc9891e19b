"""A push that was given up may still take effect: its conversation rests until it hardly can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.gate import channel_of
from support.queue import settle

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from redis import Redis

    from pushlane_worker.queue.turns import Claim, Settlement


DEADLINE_MS = 10_000


def _give_up(claim: Claim, *, lost: bool = False) -> Settlement:
    """ON_UNKNOWN=dead_letter: nobody knows whether it will take effect."""
    return settle(claim, Outcome.UNKNOWN, dead="1", reason="u", wait_ms=DEADLINE_MS, lost=lost)


@pytest.mark.parametrize("lost", [False, True], ids=["unknown", "a lost lease"])
def test_the_followers_of_a_push_that_was_given_up_wait_until_it_can_hardly_take_effect(
    redis: Redis,
    lost: bool,  # noqa: FBT001 # pytest's table
) -> None:
    """Or the API would have them first."""
    queue = channel_of(redis, 1)
    queue.enqueue("r0", "behind", address=b"another")
    turn = queue.turn(_give_up(queue.turn().claims[0], lost=lost))
    assert (turn.claims, turn.wait_ms, queue.header("m0").reason) == ((), DEADLINE_MS, "unknown")
    queue.now += DEADLINE_MS
    assert queue.turn().batches == ["behind"]


def test_what_comes_after_a_push_that_was_given_up_waits_as_well(redis: Redis) -> None:
    """Also when nothing was left in the room; whatever way it comes, and whatever is done to it."""
    queue = channel_of(redis, 1)
    queue.turn(_give_up(queue.turn().claims[0]), free=-1)
    queue.enqueue("r0", "cancelled")
    queue.cancel("cancelled")
    queue.enqueue("r0", "held", hold="d60000:key")
    queue.enqueue("r0", "later", due="+1000")
    queue.decide("key", "a")
    queue.replay("m0")
    queue.now += DEADLINE_MS - 1
    assert queue.turn().claims == ()
    queue.now += 1
    assert queue.turn().batches == ["held m0 later"]


def test_a_probe_does_not_cut_a_rest_short(redis: Redis) -> None:
    """The gate broke of what was given up."""
    queue = channel_of(redis, 1, breaker_after=1)
    queue.enqueue("r0", "behind", address=b"another")
    queue.turn(_give_up(queue.turn().claims[0]), free=-1)
    queue.now += DEADLINE_MS - 1
    turn = queue.turn()
    assert (queue.gate()["state"], turn.claims, turn.wait_ms) == ("broken", (), 1)
    queue.now += 1
    assert queue.turn().batches == ["behind"]


def test_a_rest_that_is_over_leaves_nothing(redis: Redis) -> None:
    """A sweep clears up."""
    queue = channel_of(redis, 1)
    queue.turn(_give_up(queue.turn().claims[0]), free=-1)
    assert redis.zcard(queue.prefix + "resting") == 1
    queue.now += DEADLINE_MS
    queue.sweep()
    assert redis.exists(queue.prefix + "resting") == 0


def test_a_sweep_forgets_no_more_rests_than_it_has_time_for(redis: Redis) -> None:
    """No worker ran for a while: 50,000 rests that are over would hold Redis for 30 ms."""
    queue = channel_of(redis, 0)
    redis.zadd(queue.prefix + "resting", {f"r{n}": queue.now for n in range(2500)})
    left = []
    for _ in range(3):
        queue.now += 1000
        queue.sweep()
        left.append(redis.zcard(queue.prefix + "resting"))
    assert left == [1500, 500, 0]


def test_a_clock_that_steps_back_makes_nobody_rest_for_longer(redis: Redis) -> None:
    """A day, for instance."""
    queue = channel_of(redis, 1)
    queue.enqueue("r0", "behind", address=b"another")
    queue.turn(_give_up(queue.turn().claims[0]), free=-1)
    queue.now -= 86_400_000
    assert queue.turn().batches == ["behind"]
