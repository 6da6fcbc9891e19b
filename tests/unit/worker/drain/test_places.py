"""How many places a drain claims into."""

from __future__ import annotations

import asyncio

import pytest
from support.drains import CHANNEL, LATER, make, soon
from support.waiting import wait_until_async

from pushlane_worker.drains.capacity import Capacity
from pushlane_worker.queue.turns import ONLY_SETTLE


async def test_a_full_drain_notices_by_itself_that_another_gave_a_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The places may be another channel's or an earlier drain's, which wakes nobody: it looks each 20 ms."""
    monkeypatch.setattr("pushlane_worker.drains.drain.VOUCH_S", 60)  # after which it would look anyhow
    drain, turns, _ = make(LATER, limit=1, slice_s=60)
    drain.capacity.reserve(CHANNEL, 1)
    claiming = asyncio.create_task(drain.claim())
    await wait_until_async(lambda: soon(turns.frees), "the first turn")
    drain.capacity.release(CHANNEL)
    await wait_until_async(lambda: soon(turns.frees[1:]), "the second turn")
    drain.end("shutdown")
    await claiming
    assert turns.frees[:2] == [0, 1]
    assert turns.frees[-1] == ONLY_SETTLE


async def test_a_full_drain_takes_a_turn_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no place it still vouches for the ring that is out, which would lapse."""
    monkeypatch.setattr("pushlane_worker.drains.drain.VOUCH_S", 0.01)
    drain, turns, _ = make(LATER, limit=1)
    drain.capacity.reserve(CHANNEL, 1)
    claiming = asyncio.create_task(drain.claim())
    await wait_until_async(lambda: soon(turns.frees[2:]), "the third turn")
    drain.end("shutdown")
    await claiming
    assert set(turns.frees[:-1]) == {0}


async def test_drains_of_two_channels_never_claim_into_the_same_places() -> None:
    """What one has asked for is taken until Redis answers, and what it did not get is free again."""
    capacity = Capacity(8, channels=2)
    (one, first, _), (two, second, _) = (make(LATER, capacity=capacity, channel=name) for name in ("one", "two"))
    claiming = [asyncio.create_task(drain.claim()) for drain in (one, two)]
    await wait_until_async(lambda: soon(first.frees and second.frees), "both to have asked")
    assert (first.frees[0], second.frees[0]) == (9, 1), "an eighth is the other one's, a quarter is claimed ahead"
    await wait_until_async(lambda: soon(second.frees[1:]), "the second turn")
    assert second.frees[1] == 4
    for drain in (one, two):
        drain.end("shutdown")
    await asyncio.gather(*claiming)
    assert (capacity.free("one"), capacity.free("two")) == (9, 9)


async def test_a_turn_that_fails_keeps_no_places() -> None:
    """They were taken for what it would have claimed."""
    drain, _, _ = make(ValueError("the reply made no sense"))
    with pytest.raises(ValueError, match="no sense"):
        await drain.claim()
    assert drain.capacity.free(CHANNEL) == 5
