"""The pace of a whole fleet against an API that keeps its own count."""

import time
from pathlib import Path

import pytest
from redis import Redis
from support.stack import Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Producer, RoomMessage

pytestmark = pytest.mark.alone
ROOMS = 300
BUDGET, WINDOW_S = 100, 5
WINDOWS = 3


@pytest.mark.timeout(120)
def test_three_workers_use_the_whole_budget_and_never_exceed_it(redis_url: str, redis: Redis, tmp_path: Path) -> None:
    """Three workers at `100/5s`, an API that enforces the same: no 429, and at least 95 % of the budget used."""
    rate = f"{BUDGET}/{WINDOW_S}s"
    with fake_api(latency_s=0.1, rate_limit=rate) as api:
        stack = Stack(redis_url, api, tmp_path, channel_settings(api.url, rate_limit=rate))
        try:
            for worker in [stack.worker("-c", "1") for _ in range(3)]:
                worker.ready()
            with Producer(redis_url) as producer:
                for _ in range(10):
                    producer.send_many("support", [RoomMessage(f"r{n}", "hello") for n in range(ROOMS)] * 3)
            wait_until(lambda: stack.record().pushes > 0, "the first push")
            started = time.monotonic()
            duration = WINDOWS * WINDOW_S
            wait_until(lambda: time.monotonic() - started > duration, "the time to pass", duration + 5)
            pushes = stack.api.pushes()
        finally:
            stack.close()
    assert {push.status for push in pushes if push.took_s is not None} == {200}  # the others are in flight
    first = pushes[0].at_s
    used = sum(push.at_s - first < duration for push in pushes)
    assert used >= 0.95 * BUDGET * WINDOWS, f"{used} of {BUDGET * WINDOWS} pushes in {duration} s"
    assert redis.hget("pushlane:1:{support}:counters", "pushes_throttled") is None
