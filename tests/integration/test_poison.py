"""One bad message among ten: it dies alone, its neighbours are delivered in order."""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from redis import Redis
from support.queue import Queue, settle
from support.stack import Stack, channel_settings, fake_api

from pushlane import Producer, RoomMessage
from pushlane_worker.outcome import Outcome

BATCH = 10
AT_ONCE = 12
"""Rooms at a time: twenty rejections in a row would be taken for a fault of the channel."""


@pytest.fixture
def stack(redis_url: str, tmp_path: Path) -> Iterator[Stack]:
    """An API that refuses every request with a BAD text in it."""
    with fake_api(reject_text="BAD") as api:
        stack = Stack(redis_url, api, tmp_path, channel_settings(api.url))
        yield stack
        stack.close()


@pytest.mark.parametrize(("offenders", "most"), [(1, 9), (2, 15), (3, 17)])
def test_offenders_die_alone_wherever_they_stand(stack: Stack, redis: Redis, offenders: int, most: int) -> None:
    """At every position: a bounded number of requests, the others in order, no attempt spent, the API's own words."""
    stack.worker("-c", "1").ready()
    cases = list(combinations(range(BATCH), offenders))
    receipts = {}
    with Producer(stack.redis_url) as producer:
        for start in range(0, len(cases), AT_ONCE):
            for case in cases[start : start + AT_ONCE]:
                texts = [f"{'BAD' if place in case else 'good'} #{place}" for place in range(BATCH)]
                receipts[case] = producer.send_many("support", [RoomMessage(str(case), text) for text in texts])
            done = min(start + AT_ONCE, len(cases))
            stack.wait_for(done * (BATCH - offenders))
        pushes = Counter(push.room for push in stack.api.pushes())
        assert max(pushes.values()) <= most
        for case in cases:
            expected = [f"good #{place}" for place in range(BATCH) if place not in case]
            assert stack.api.texts(str(case)) == expected
        for place in cases[-1]:
            stack.wait_for_state(producer, receipts[cases[-1]][place], "dead")
            status = producer.status("support", receipts[cases[-1]][place].message_id)
            assert status is not None
            assert (status.reason, status.detail) == ("rejected", "HTTP 400, code 6451000: invalid message")
    assert redis.zcard("pushlane:1:{support}:dead") == len(cases) * offenders
    assert stack.record().duplicates == 0


def test_the_neighbours_of_an_offender_spend_no_attempt(redis: Redis) -> None:
    """A rejection says nothing against the others, and a later failure still finds their whole budget."""
    queue = Queue(redis)
    queue.register()
    queue.enqueue("a", *(f"m{n}" for n in range(BATCH)))
    (claim,) = queue.turn().claims
    (first,) = queue.turn(settle(claim, Outcome.REJECTED, split=5)).claims
    assert [name.decode() for name in first.message_ids] == [f"m{n}" for n in range(5)]
    queue.enqueue("a", "later")
    (second,) = queue.turn(settle(first)).claims
    assert [name.decode() for name in second.message_ids] == [f"m{n}" for n in range(5, 10)]
    assert [history.attempts for history in second.history()] == [0] * 5
    (third,) = queue.turn(settle(second)).claims
    assert [name.decode() for name in third.message_ids] == ["later"]


def test_many_single_rejections_in_a_row_are_a_fault_of_the_channel(redis: Redis) -> None:
    """After 20 of different conversations, none delivered between, the gate breaks and no more messages die."""
    queue = Queue(redis, breaker_after=1000)
    queue.register()
    for n in range(30):
        queue.enqueue(f"room{n}", f"m{n}")
    refused = 0
    while claims := queue.turn().claims:
        for claim in claims:
            queue.turn(settle(claim, Outcome.REJECTED, dead="1", reason="r", detail="no"), free=-1)
            refused += 1
    gate = redis.hgetall(queue.prefix + "gate")
    assert (gate[b"state"], gate[b"reason"]) == (b"broken", b"suspect: no")
    assert queue.counters()["dead"] == 19
    queue.now += 30_000
    (probe,) = queue.turn().claims
    assert queue.turn(settle(probe, Outcome.REJECTED, dead="1", reason="r")).claims == ()
    assert queue.counters()["dead"] == 19
    queue.now += 60_000
    (probe,) = queue.turn().claims
    assert queue.turn(settle(probe)).claims
    assert redis.hget(queue.prefix + "gate", "state") == b"open"
