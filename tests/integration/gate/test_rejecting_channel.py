"""A channel that rejects everything has a fault of its own: its messages do not die."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.gate import channel_of, probe_of
from support.queue import Queue, Turn, room, settle

from pushlane.outcome import Outcome
from pushlane_worker.queue.turns import Settled

if TYPE_CHECKING:
    from redis import Redis


MANY = 20
"""Messages rejected in a row that are taken for a fault of the channel."""


def _reject_all(queue: Queue, turn: Turn) -> Turn:
    """An API that refuses everything, until nothing is pushed any more."""
    while turn.claims:
        (claim, *_) = turn.claims
        size = len(claim.message_ids)
        step = {"split": (size + 1) // 2} if size > 1 else {"dead": "1", "reason": "r"}
        others = [settle(other, Outcome.REJECTED, **step) for other in turn.claims if len(other.message_ids) == size]
        others += [settle(other, Outcome.UNSENT) for other in turn.claims if len(other.message_ids) != size]
        turn = queue.turn(*others)
    return turn


@pytest.mark.parametrize("rooms", [1, 5, 19, 40])
def test_a_channel_that_rejects_everything_kills_at_most_twenty(redis: Redis, rooms: int) -> None:
    """However few rooms there are, and however many pushes are in flight when that is noticed."""
    queue = channel_of(redis, 0)
    for n in range(200):
        queue.enqueue(f"r{n % rooms}", f"m{n}")
    turn = _reject_all(queue, queue.turn())
    assert (queue.gate()["state"], queue.gate()["reason"]) == ("broken", "suspect: said so")
    for _ in range(5):
        queue.now += max(turn.wait_ms, 0)
        turn = _reject_all(queue, queue.turn())
    assert queue.counters()["dead"] < MANY
    queue.now += turn.wait_ms
    while claims := queue.turn().claims:
        queue.turn(*(settle(claim) for claim in claims), free=-1)
    queue.assert_counters()
    assert queue.counters()["delivered"] == 200 - queue.counters()["dead"]


def test_a_room_of_nothing_but_rejects_dies_next_to_rooms_that_are_delivered(redis: Redis) -> None:
    """Each delivery starts the count anew."""
    queue = channel_of(redis, 0)
    queue.enqueue("bad", *(f"b{n}" for n in range(50)), address=b"")
    redis.hset(queue.prefix + "channel", "batch_limit", 1)
    queue.enqueue("good", *(f"g{n}" for n in range(50)))
    while claims := queue.turn().claims:
        answers = (
            settle(claim, Outcome.REJECTED, dead="1", reason="r") if room(claim) == "bad" else settle(claim)
            for claim in claims
        )
        queue.turn(*answers, free=-1)
    assert (queue.counters()["dead"], queue.counters()["delivered"]) == (50, 50)


def test_a_batch_that_is_condemned_whole_counts_with_all_its_messages(redis: Redis) -> None:
    """Destinations that are not found: two rooms of ten in a row kill ten, and the next room is asked."""
    queue = channel_of(redis, 0)
    for n in range(3):
        queue.enqueue(f"r{n}", *(f"r{n}.{k}" for k in range(10)))
    turn = queue.turn(free=1)
    answers: list[int] = []
    for _ in range(2):
        turn = queue.turn(settle(turn.claims[0], Outcome.REJECTED, dead="1" * 10, reason="r"), free=1)
        answers += turn.settled
    assert answers == [Settled.CURRENT, Settled.SPARED]
    assert (queue.counters()["dead"], room(probe_of(turn))) == (10, "r2")


def test_a_late_delivery_does_not_start_the_count_of_a_suspect_channel_anew(redis: Redis) -> None:
    """It was pushed before the gate broke, and says nothing about the API after it."""
    queue = channel_of(redis, MANY + 5)
    claims = queue.turn().claims
    queue.turn(*(settle(one, Outcome.REJECTED, dead="1", reason="r") for one in claims[:MANY]), settle(claims[-1]))
    assert (queue.gate()["state"], queue.counters()["dead"]) == ("broken", MANY - 1)
    answers = (settle(one, Outcome.REJECTED, dead="1", reason="r") for one in claims[MANY:-1])
    assert set(queue.turn(*answers, free=-1).settled) == {Settled.SPARED}
