"""Throttled: whether it is the channel, or the one conversation that met it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.gate import channel_of
from support.queue import room, settle

from pushlane.outcome import Outcome
from pushlane_worker.queue.turns import Settled

if TYPE_CHECKING:
    from redis import Redis

    from pushlane_worker.queue.turns import Claim, Settlement


def _limit(claim: Claim, *, wait_ms: int = -1, dead: str = "") -> Settlement:
    """A 429 that may be for its conversation alone."""
    return settle(
        claim, Outcome.THROTTLED, detail="HTTP 429", wait_ms=wait_ms, dead=dead, reason="a" if dead else "-", lone=True
    )


def test_one_room_that_is_throttled_waits_alone(redis: Redis) -> None:
    """As long as it was asked, whatever happens to it meanwhile; no attempt, and the gate stays open."""
    queue = channel_of(redis, 5)
    limited, other = queue.turn(free=2).claims
    queue.turn(settle(other), free=-1)
    turn = queue.turn(_limit(limited, wait_ms=7000))
    assert (turn.settled, len(turn.claims), queue.gate()["state"]) == ((Settled.CURRENT,), 3, "open")
    assert (queue.header("m0").attempts, queue.blocked()) == (0, {"r0": (queue.now, "throttled: HTTP 429")})
    queue.turn(*(settle(claim) for claim in turn.claims), free=-1)
    queue.enqueue("r0", "behind")
    assert queue.skip("r0") == ["skipped", "m0"]
    queue.now += 6999
    assert queue.turn().claims == ()
    queue.now += 1
    assert queue.turn().batches == ["behind"]


def test_a_room_that_is_throttled_again_waits_longer_each_time(redis: Redis) -> None:
    """Without Retry-After: 1, 2, 4 … 60 s."""
    queue, waits = channel_of(redis, 1), []
    for _ in range(8):
        (claim,) = queue.turn().claims
        waits.append(queue.turn(_limit(claim)).wait_ms)
        queue.now += waits[-1]
    assert waits == [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]
    assert queue.gate()["state"] == "open"


@pytest.mark.parametrize(
    ("between_ms", "delivers", "state"),
    [(999, True, "throttled"), (1000, True, "open"), (60_000, False, "throttled")],
    ids=["within a second", "a second later", "nothing delivered between"],
)
def test_a_second_room_is_the_channel_within_a_second_or_with_no_delivery_between(
    redis: Redis,
    between_ms: int,
    delivers: bool,  # noqa: FBT001 # pytest's table
    state: str,
) -> None:
    """Then the gate closes for as long as it was asked."""
    queue = channel_of(redis, 5)
    first, second, third = queue.turn(free=3).claims
    queue.turn(_limit(first, wait_ms=90_000), free=-1)
    queue.turn(*[settle(third)] * delivers, free=-1)
    queue.now += between_ms
    queue.turn(_limit(second, wait_ms=4000), free=-1)
    gate = queue.gate()
    assert gate["state"] == state
    if state == "throttled":
        assert int(gate["until"]) == queue.now + 4000


def test_a_room_that_is_known_to_be_limited_closes_no_gate(redis: Redis) -> None:
    """Two rooms over their own limits stop the channel once at most, not each time that they meet."""
    queue = channel_of(redis, 2)
    one, two = queue.turn().claims
    queue.turn(_limit(one), free=-1)
    queue.now += 1000
    queue.enqueue("other", "o1")
    claims = {room(claim): claim for claim in queue.turn().claims}
    queue.turn(settle(claims["other"]), _limit(claims["r0"]), _limit(two), free=-1)
    assert queue.gate()["state"] == "open"


def test_many_rooms_throttled_at_once_count_once(redis: Redis) -> None:
    """64 in flight together: the second answer closes the gate, and no later one makes it wait longer."""
    queue = channel_of(redis, 64)
    queue.turn(*(_limit(claim) for claim in queue.turn().claims), free=-1)
    gate = queue.gate()
    assert (gate["state"], int(gate["until"]) - queue.now, gate["throttles"]) == ("throttled", 1000, "1")


def test_a_room_that_is_never_let_in_dies_of_its_age(redis: Redis) -> None:
    """It must not fill the queue for ever."""
    queue = channel_of(redis, 1)
    queue.turn(_limit(queue.turn().claims[0], dead="1"), free=-1)
    header = queue.header("m0")
    assert (header.state, header.reason, header.attempts, queue.detail("m0")) == ("dead", "exhausted", 0, "HTTP 429")
    assert queue.blocked() == {}
    queue.assert_counters()
