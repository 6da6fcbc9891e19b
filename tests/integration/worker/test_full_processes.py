"""Processes that are full, with an API so slow that they give their Celery processes back."""

import time
from pathlib import Path

import pytest
from redis import Redis
from support.stack import Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Producer, RoomMessage

PREFIX = "pushlane:1:{support}:"
PLACES = 8
AHEAD = 2
LONG_S = 7

pytestmark = [pytest.mark.long, pytest.mark.alone]


def _send(redis: Redis, producer: Producer, count: int) -> None:
    """As when the slow start is over."""
    redis.hset(f"{PREFIX}gate", "cap", 640)
    producer.send_many("support", [RoomMessage(f"r{n}", "hello") for n in range(count)])


@pytest.mark.parametrize(("pool", "children"), [("prefork", 1), ("threads", 4), ("solo", 1)])
def test_a_full_process_claims_no_more_than_its_places_and_takes_few_drains(
    redis_url: str, redis: Redis, producer: Producer, tmp_path: Path, pool: str, children: int
) -> None:
    """Its places and a quarter ahead, however many drains its pool runs; and they do not chase one another."""
    with fake_api(latency_s=1.5) as api:
        stack = Stack(redis_url, api, tmp_path, {**channel_settings(api.url), "PUSHLANE_MAX_IN_FLIGHT": str(PLACES)})
        try:
            worker = stack.worker("-c", str(children), "-P", pool).ready()
            _send(redis, producer, 500)
            started, leases = time.monotonic(), [0]

            def over() -> bool:
                leases.append(stack.leases())
                return time.monotonic() - started > LONG_S

            wait_until(over, "the time to pass", LONG_S + 10)
            drains = worker.log.read_text().count("] received")
        finally:
            stack.close()
    # For a moment there are leases of pushes that have just ended beside those of new ones in their places.
    assert max(leases) <= 2 * PLACES + AHEAD
    assert sorted(leases)[-len(leases) // 20] == PLACES + AHEAD
    assert drains <= 3 * LONG_S, f"{drains} drains in {LONG_S} s"


def test_processes_stay_full_while_there_is_work(
    redis_url: str, redis: Redis, producer: Producer, tmp_path: Path
) -> None:
    """Celery gives a ring to its first idle process, full or not: from there it comes to those with places in time."""
    with fake_api(latency_s=1) as api:
        stack = Stack(redis_url, api, tmp_path, {**channel_settings(api.url), "PUSHLANE_MAX_IN_FLIGHT": str(PLACES)})
        try:
            stack.worker("-c", "4").ready()
            _send(redis, producer, 1000)
            wait_until(lambda: stack.record().in_flight == 4 * PLACES, "four processes to be full", 3)
            started, seen = time.monotonic(), [0]

            def over() -> bool:
                seen.append(stack.record().in_flight)
                return time.monotonic() - started > LONG_S

            wait_until(over, "the time to pass", LONG_S + 10)
        finally:
            stack.close()
    share = sum(seen) / len(seen) / (4 * PLACES)
    assert share > 0.9, f"{share:.0%} of the places were in use"


def test_a_process_with_places_is_found_though_all_others_are_full(
    redis_url: str, redis: Redis, producer: Producer, tmp_path: Path
) -> None:
    """One that comes later is full within a few seconds."""
    with fake_api(latency_s=8) as api:
        stack = Stack(redis_url, api, tmp_path, {**channel_settings(api.url), "PUSHLANE_MAX_IN_FLIGHT": str(PLACES)})
        try:
            stack.worker("-c", "3").ready()
            _send(redis, producer, 200)
            wait_until(lambda: stack.record().in_flight == 3 * PLACES, "three processes to be full", 3)
            stack.worker("-c", "1").ready()
            wait_until(lambda: stack.record().in_flight == 4 * PLACES, "the fourth process to be full", 3)
        finally:
            stack.close()
