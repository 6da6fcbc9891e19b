"""An outage of the chat API: hardly a push reaches it, hardly an attempt is spent, and its end is noticed at once."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from support.stack import FakeApi, Stack, channel_settings
from support.waiting import wait_until

from pushlane import Producer, RoomMessage

pytestmark = pytest.mark.alone
ROOMS = 500
WARM_UP = 300
IN_FLIGHT = 16
OUTAGE_S = 20
MOST_PUSHES = 36
"""Ten failures break the gate while 15 others are in flight; then 11 probes, each after a fifth of the outage's age."""
MOST_ATTEMPTS = 2
BACK_WITHIN_S = 6
"""For an API that answers at once. The probe that finds it out comes within 20 / 5 = 4 s."""


@pytest.fixture
def stack(redis_url: str, api: FakeApi, tmp_path: Path) -> Iterator[Stack]:
    """Workers with 16 slots, without a rate limit."""
    settings = channel_settings(api.url) | {"PUSHLANE_MAX_IN_FLIGHT": str(IN_FLIGHT)}
    stack = Stack(redis_url, api, tmp_path, settings)
    yield stack
    stack.close()


@pytest.mark.long
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("warm_up", "latency_s"), [(0, 0), (WARM_UP, 0.1)], ids=["from the start", "at full speed, 100 ms"]
)
def test_an_outage_of_20_s_costs_few_pushes_and_attempts(
    stack: Stack, redis: Redis, producer: Producer, warm_up: int, latency_s: float
) -> None:
    """503 for 20 s: at most 36 pushes reach the API, no message spends more than 2 attempts, all arrive 6 s after."""
    stack.worker("-c", "1").ready()
    wait_until(lambda: redis.exists("pushlane:1:{support}:channel"), "the channel to be registered")
    stack.api.control(latency_s=latency_s)
    if warm_up:
        producer.send_many("support", [RoomMessage(f"warm {n}", "hello #1") for n in range(warm_up)])
        stack.wait_for(warm_up // 2)
    # With a warm-up the API goes away in the middle of it, while pushes are in flight.
    stack.api.control(down=503)
    began = time.monotonic()
    receipts = producer.send_many("support", [RoomMessage(f"r{n}", "hello #1") for n in range(ROOMS)])
    wait_until(lambda: time.monotonic() - began >= OUTAGE_S, "the outage to be over", OUTAGE_S + 5)
    stack.api.control(down=None)
    back = time.monotonic()
    stack.wait_for(warm_up + ROOMS)
    took = time.monotonic() - back
    wait_until(lambda: stack.depth() == 0, "all to be settled")

    reached = [round(push.at_s - began, 1) for push in stack.api.pushes() if push.status == 503]
    assert len(reached) <= MOST_PUSHES, f"{len(reached)} pushes reached the API while it was down, at {reached} s"
    within = BACK_WITHIN_S + (warm_up + ROOMS) / IN_FLIGHT * latency_s
    assert took <= within, f"all were delivered {took:.1f} s after the API was back, and not within {within:.1f} s"
    statuses = [producer.status("support", receipt.message_id) for receipt in receipts]
    assert {status.state if status else None for status in statuses} == {"delivered"}
    assert max(status.attempts - 1 for status in statuses if status) <= MOST_ATTEMPTS, "but for the delivery"
    summary = stack.record()
    assert (summary.accepted, summary.duplicates) == (warm_up + ROOMS, 0)
