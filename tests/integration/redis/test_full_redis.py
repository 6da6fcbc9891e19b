"""Celery workers on a Redis at its memory limit, which refuses their wake-ups: the queue drains all the same."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from support.channels import register
from support.stack import FakeApi, Stack, channel_settings
from support.waiting import wait_until

from pushlane import Producer, QueueFull, RoomMessage
from pushlane.keys import BELL, channel_prefix
from pushlane.operators.actions import Operator

pytestmark = pytest.mark.single_server("it fills its memory")

BACKLOG = 300
BALLAST_BYTES = 20_000_000
ROOMS = 7


@pytest.fixture
def redis(redis: Redis) -> Iterator[Redis]:
    """The shared server, with its memory limit off again at the end."""
    yield redis
    redis.config_set("maxmemory", 0)


@pytest.fixture
def stack(redis_url: str, redis: Redis, api: FakeApi, tmp_path: Path) -> Iterator[Stack]:
    """One channel; its workers end before the memory limit does."""
    register(redis)
    stack = Stack(redis_url, api, tmp_path, channel_settings(api.url))
    yield stack
    stack.close()


def _fill(redis: Redis, producer: Producer) -> None:
    """A backlog, and a server far above its limit; no room for anything, however much is delivered."""
    producer.send_many("support", [RoomMessage(f"r{n % ROOMS}", f"hello #{n + 1}") for n in range(BACKLOG)])
    redis.config_set("maxmemory", 1)


def _fill_under(redis: Redis, redis_url: str, producer: Producer) -> None:
    """The same under a worker that runs already."""
    with Operator(redis_url, by="a test") as operator:
        operator.pause("support")
        _fill(redis, producer)
        operator.resume("support")


def test_producers_leave_room_for_the_wake_ups(stack: Stack, redis: Redis, redis_url: str, producer: Producer) -> None:
    """They are refused a tenth before the limit, by any worker's sweeps, and Celery goes on as ever."""
    worker = stack.worker("-c", "1").ready()
    redis.setrange("ballast", BALLAST_BYTES, b"x")
    redis.expire("ballast", 60)
    info: Any = redis.info("memory")
    with Operator(redis_url, by="a test") as operator:
        operator.pause("support")
        producer.send("support", RoomMessage("r0", "hello #1"))
        redis.config_set("maxmemory", round(info["used_memory"] / 0.93))
        wait_until(lambda: redis.exists("pushlane:1:{support}:full"), "a sweep to see it")
        with pytest.raises(QueueFull):
            producer.send("support", RoomMessage("r0", "hello #2"))
        operator.resume("support")
    stack.wait_for(1)
    assert "publish_failed" not in worker.log.read_text()
    redis.delete("ballast")
    wait_until(lambda: not redis.exists("pushlane:1:{support}:full"), "room for more")
    producer.send("support", RoomMessage("r0", "hello #2"))
    stack.wait_for(2)


def _children(worker: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{worker}/task/{worker}/children").read_text().split()]


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_redis_that_fills_up_drains(
    stack: Stack, redis: Redis, redis_url: str, producer: Producer, pool: str
) -> None:
    """Celery can publish nothing, so a worker's own process drains: all arrives once, in order."""
    stack.worker("-c", "1", "-P", pool).ready()
    _fill_under(redis, redis_url, producer)
    summary = stack.wait_for(BACKLOG)
    assert (summary.accepted, summary.duplicates, summary.order_breaks) == (BACKLOG, 0, 0)
    wait_until(lambda: stack.depth() == 0, "all to be settled")


def test_a_pool_process_that_is_forked_after_that_drains_as_ever(
    stack: Stack, redis: Redis, redis_url: str, producer: Producer
) -> None:
    """It finds the loop of its parent, whose thread it has not, and must not wait for that."""
    worker = stack.worker("-c", "1").ready()
    _fill_under(redis, redis_url, producer)
    stack.wait_for(BACKLOG)
    redis.config_set("maxmemory", 0)
    first = _children(worker.process.pid)
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: _children(worker.process.pid) not in (first, []), "a new pool process")
    wait_until(lambda: not redis.exists(f"{channel_prefix('support')}full"), "Redis to be known to have room")
    producer.send("support", RoomMessage("after", "hello"))
    stack.wait_for(BACKLOG + 1)
    assert worker.stop() == 0


def test_a_worker_that_is_told_to_stop_settles_what_it_drains_itself(
    stack: Stack, redis: Redis, redis_url: str, producer: Producer
) -> None:
    """SIGTERM in the middle of it: no push is cut, what was claimed ahead is handed back, exit 0."""
    stack.api.control(latency_s=0.5)
    worker = stack.worker("-c", "1").ready()
    _fill_under(redis, redis_url, producer)
    wait_until(lambda: stack.record().in_flight >= 2, "pushes in flight")
    assert worker.stop() == 0
    assert (stack.leases(), stack.depth()) == (0, BACKLOG - stack.record().accepted)
    assert redis.xlen("pushlane:1:{support}:unknown") == 0


def test_a_worker_that_starts_on_a_full_redis_drains_it(stack: Stack, redis: Redis, producer: Producer) -> None:
    """It cannot tell anybody of its queues, but it sweeps and so is rung for."""
    _fill(redis, producer)
    redis.delete(BELL, "pushlane:1:{support}:pending")
    stack.worker("-c", "1")
    stack.wait_for(BACKLOG)
    wait_until(lambda: stack.depth() == 0, "all to be settled")
