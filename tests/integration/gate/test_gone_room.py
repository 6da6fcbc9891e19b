"""A real worker and one recipient that is gone, forbidden or over its own limit: the others go on, and it ends."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from support.stack import FakeApi, Stack, channel_settings
from support.waiting import wait_until

from pushlane import MessageStatus, Producer, Receipt, RoomMessage
from pushlane.operators.blocked import read_blocked
from pushlane.scripts import Script

pytestmark = pytest.mark.alone
PREFIX = "pushlane:1:{support}:"
ROOMS = 20
EACH = 100
LATENCY_S = 0.05
IN_FLIGHT = 64
HALF_A_MINUTE_MS = 30_000
MAX_AGE_S = 5
"""A budget that is over soon."""
STATUSES = [404, 403, 429]


@pytest.fixture
def stack(redis_url: str, api: FakeApi, tmp_path: Path, redis: Redis) -> Iterator[Stack]:
    """A worker at full speed."""
    stack = Stack(redis_url, api, tmp_path, channel_settings(api.url, max_age_s=MAX_AGE_S))
    stack.worker("-c", "1").ready()
    redis.hset(f"{PREFIX}gate", mapping={"state": "open", "cap": 64})
    api.control(latency_s=LATENCY_S)
    yield stack
    stack.close()


def _deliver(stack: Stack, producer: Producer, name: str) -> float:
    """Sends 2,000 messages to 20 rooms; how long it takes until all have arrived."""
    before, began = stack.record().accepted, time.monotonic()
    producer.send_many("support", [RoomMessage(f"room {n % ROOMS}", f"{name} {n}") for n in range(ROOMS * EACH)])
    stack.wait_for(before + ROOMS * EACH)
    return time.monotonic() - began


def _status(producer: Producer, receipt: Receipt) -> MessageStatus:
    status = producer.status("support", receipt.message_id)
    assert status is not None
    return status


def _let_half_a_minute_pass(redis: Redis) -> None:
    """For the gate, and for every conversation that waits."""
    redis.hset(f"{PREFIX}gate", "until", 0)
    waiting: Any = redis.zrange(f"{PREFIX}delayed", 0, -1, withscores=True)
    for name, due in waiting:
        redis.zadd(f"{PREFIX}delayed", {name: due - HALF_A_MINUTE_MS}, xx=True)


def _skip(redis: Redis, room: str) -> bytes:
    skipped: list[bytes] = Script("skip").call(redis, PREFIX, "", room)
    return skipped[0]


def test_one_recipient_that_is_refused_slows_nobody_down_and_can_be_skipped(
    stack: Stack, api: FakeApi, redis: Redis, producer: Producer
) -> None:
    """2,000 messages to 20 others take as long as ever; the one is listed with the API's words."""
    usual = _deliver(stack, producer, "usual")
    for status in STATUSES:
        gone = f"gone {status}"
        api.control(fail={"status": status, "room": gone})
        receipt = producer.send("support", RoomMessage(gone, "nobody reads it"))
        beside = _deliver(stack, producer, f"beside {status}")
        assert beside < 2 * usual + 0.5, f"{beside:.2f} s beside a room that gets {status}, {usual:.2f} s without"
        assert redis.hget(f"{PREFIX}gate", "state") == b"open"
        (listed,) = read_blocked(redis, "support", 100)
        assert (listed.conversation, listed.message_id) == (gone, receipt.message_id)
        assert f"HTTP {status}" in listed.why
        assert _status(producer, receipt).attempts == 0
        wait_until(lambda gone=gone: _skip(redis, gone) == b"skipped", "it not to be in flight")  # type: ignore[misc] # mypy does not infer a lambda's default
        assert (_status(producer, receipt).state, _status(producer, receipt).reason) == ("dead", "exhausted")


@pytest.mark.long
def test_one_recipient_that_is_refused_is_dead_at_last(
    stack: Stack, api: FakeApi, redis: Redis, producer: Producer
) -> None:
    """When its budget is over; the others are delivered meanwhile, and the channel is in order."""
    for status in STATUSES:
        gone = f"gone {status}"
        api.control(fail={"status": status, "room": gone}, latency_s=0)
        receipt = producer.send("support", RoomMessage(gone, "nobody reads it"))

        def is_dead(receipt: Receipt = receipt) -> bool:
            # What the API itself asked for is not cut short.
            if not redis.exists(f"{PREFIX}resting"):
                _let_half_a_minute_pass(redis)
            before = stack.record().accepted
            producer.send("support", RoomMessage("room 0", "meanwhile"))
            stack.wait_for(before + 1)
            return _status(producer, receipt).state == "dead"

        wait_until(is_dead, "it to be given up", 20)
        ended = _status(producer, receipt)
        assert (ended.reason, f"HTTP {status}" in str(ended.detail)) == ("exhausted", True)
        assert redis.hget(f"{PREFIX}gate", "state") == b"open"
    assert redis.zcard(f"{PREFIX}dead") == len(STATUSES)


def _is_really_broken(stack: Stack, redis: Redis) -> bool:
    """Not only in doubt."""
    return redis.hmget(f"{PREFIX}gate", "state", "doubts") == [b"broken", b"0"] and not stack.leases()


@pytest.mark.long
def test_a_channel_that_refuses_every_room_breaks(stack: Stack, api: FakeApi, redis: Redis, producer: Producer) -> None:
    """Three rooms in a row are the channel's fault: nothing dies, nobody spends an attempt."""
    api.control(down=404)
    receipts = producer.send_many("support", [RoomMessage(f"room {n}", "hello") for n in range(100)])
    wait_until(lambda: _is_really_broken(stack, redis), "the channel to break")
    assert stack.record().pushes <= IN_FLIGHT + 2, "as many as were in flight, and two other rooms"
    assert {_status(producer, receipt).attempts for receipt in receipts} == {0}
    api.control(down=None)
    _let_half_a_minute_pass(redis)
    stack.wait_for(100)
    assert redis.zcard(f"{PREFIX}dead") == 0


@pytest.mark.long
@pytest.mark.parametrize("status", [413, 400])
def test_a_channel_that_rejects_everything_throws_no_backlog_away(
    stack: Stack, api: FakeApi, redis: Redis, producer: Producer, status: int
) -> None:
    """At most 20 messages die, whatever the number of rooms; the others are delivered when the API is mended."""
    total, accepted = 400, 0
    for rooms in (1, 5, 19, 40):
        before = redis.zcard(f"{PREFIX}dead")
        api.control(down=status, latency_s=0)
        messages = [RoomMessage(f"{rooms}.{n % rooms}", f"hello {n}") for n in range(total)]
        producer.send_many("support", messages)
        for _ in range(5):
            wait_until(lambda: redis.hget(f"{PREFIX}gate", "state") == b"broken" and not stack.leases(), "the break")
            seen = stack.record().pushes
            _let_half_a_minute_pass(redis)
            wait_until(lambda seen=seen: stack.record().pushes > seen and not stack.leases(), "a probe")  # type: ignore[misc] # mypy does not infer a lambda's default
        dead = redis.zcard(f"{PREFIX}dead") - before
        assert 0 < dead <= 20, f"{dead} of {total} messages of {rooms} rooms are dead"
        assert str(redis.hget(f"{PREFIX}gate", "reason"))[2:].startswith("suspect")
        api.control(down=None)
        _let_half_a_minute_pass(redis)
        accepted += total - dead
        while stack.record().accepted < accepted:
            _let_half_a_minute_pass(redis)
