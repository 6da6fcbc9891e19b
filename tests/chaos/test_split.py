"""A worker that is killed while it isolates offenders: its successor goes on where it stood."""

import signal
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import pytest
from redis import Redis
from support.stack import Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Producer, Receipt, RoomMessage

BATCH = 10
LEASE_S = 5.0
SETTINGS = {"PUSHLANE_LEASE_S": str(LEASE_S), "PUSHLANE_PUSH_DEADLINE_S": "3"}
OFFENDERS = [(0,), (4,), (9,), (0, 1), (2, 7), (8, 9), (0, 5, 9), (4, 5, 6)]
ROOMS = 12
"""Fewer than the 20 rooms whose rejections in a row would be taken for a fault of the channel."""
CASES = {f"r{n}": offenders for n, offenders in enumerate(islice(cycle(OFFENDERS), ROOMS))}
IN_MID_PUSH = 4


@pytest.fixture
def stack(redis_url: str, tmp_path: Path) -> Iterator[Stack]:
    """An API that takes 300 ms to refuse every request with a BAD text in it, and short leases."""
    with fake_api(reject_text="BAD", latency_s=0.3) as api:
        stack = Stack(redis_url, api, tmp_path, {**channel_settings(api.url), **SETTINGS})
        yield stack
        stack.close()


@pytest.fixture
def producer(redis_url: str) -> Iterator[Producer]:
    """A producer on the test's server."""
    with Producer(redis_url) as producer:
        yield producer


def _send(producer: Producer) -> dict[str, list[Receipt]]:
    receipts = {}
    for room, offenders in CASES.items():
        texts = [f"{'BAD' if place in offenders else 'good'} #{place}" for place in range(BATCH)]
        receipts[room] = producer.send_many("support", [RoomMessage(room, text) for text in texts])
    return receipts


def _in_mid_push(stack: Stack, rejections: int) -> bool:
    summary = stack.record()
    return summary.by_status.get(400, 0) >= rejections and summary.in_flight >= IN_MID_PUSH


@pytest.mark.long
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "rejections",
    [6, 20, 36],
    ids="after {} rejections".format,
)
def test_a_split_survives_its_worker(stack: Stack, redis: Redis, producer: Producer, rejections: int) -> None:
    """SIGKILL in mid-split: nothing is lost, first arrivals keep their order, the offenders alone die, as rejected."""
    worker = stack.worker("-c", "1").ready()
    wait_until(lambda: redis.exists("pushlane:1:{support}:channel"), "the channel to be registered")
    receipts = _send(producer)
    wait_until(lambda: _in_mid_push(stack, rejections), f"{rejections} rejections, and pushes in flight")
    worker.kill_group(signal.SIGKILL)
    leased = stack.leases()
    assert leased >= IN_MID_PUSH
    assert stack.depth() > 0

    stack.worker("-c", "1").ready()
    wait_until(lambda: stack.depth() == 0, "everything to be settled", 60)
    for room, offenders in CASES.items():
        good = [f"good #{place}" for place in range(BATCH) if place not in offenders]
        assert list(dict.fromkeys(stack.api.texts(room))) == good
        ends = [producer.status("support", receipt.message_id) for receipt in receipts[room]]
        assert [end.reason or end.state for end in ends if end] == [
            "rejected" if place in offenders else "delivered" for place in range(BATCH)
        ]
        assert max(end.attempts for place, end in enumerate(ends) if end and place not in offenders) <= 2
    assert stack.record().order_breaks == 0
    assert redis.zcard("pushlane:1:{support}:dead") == sum(map(len, CASES.values()))
    assert redis.xlen("pushlane:1:{support}:unknown") == leased
