"""Both producers at a limit, the channel's own or the memory's: what is refused, and what goes on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError
from support.channels import push, register
from support.every_node import url_of
from support.producers import HELLO, Door, Open, everything, ids_in, texts
from support.queue import Queue
from support.waiting import wait_until

from pushlane import QueueFull

BALLAST_BYTES = 20_000_000


@contextmanager
def memory_limit(redis: Redis) -> Iterator[None]:
    """The server is above its memory limit."""
    redis.config_set("maxmemory", 1)
    try:
        yield
    finally:
        redis.config_set("maxmemory", 0)


@contextmanager
def memory_used(redis: Redis, share: float) -> Iterator[None]:
    """The server uses this share of its memory; beside its ballast what a test does counts little."""
    redis.setrange("ballast", BALLAST_BYTES, b"x")
    redis.expire("ballast", 60)
    info: Any = redis.info("memory")
    redis.config_set("maxmemory", round(info["used_memory"] / share))
    try:
        yield
    finally:
        redis.config_set("maxmemory", 0)


def test_a_full_channel_refuses_and_says_when_to_come_back(door: Door, redis: Redis) -> None:
    """MAX_QUEUED is exact, repeats of accepted messages are still answered, and what leaves makes room."""
    register(redis, max_queued=3)
    first = door.send("support", HELLO, idempotency_key="first")
    door.send_many("support", texts(2))
    with pytest.raises(QueueFull, match="3 messages are already waiting") as caught:
        door.send("support", HELLO)
    assert caught.value.channel == "support"
    assert caught.value.retry_after_s > 0
    assert door.send("support", HELLO, idempotency_key="first").message_id == first.message_id
    assert len(ids_in(redis)) == 3
    push(redis_url=url_of(redis))
    assert door.send("support", HELLO).sequence == 4


@pytest.mark.single_server("it fills its memory")
def test_the_memory_limit_is_a_full_queue_and_leaves_nothing_half_enqueued(door: Door, redis: Redis) -> None:
    """Redis refuses the whole script: what was there is there, and no part of the new ones."""
    door.send("support", HELLO)
    before = everything(redis)
    with memory_limit(redis):
        for call in (
            lambda: door.send("support", HELLO),
            lambda: door.send_many("support", texts(1000)),
        ):
            with pytest.raises(QueueFull, match="Redis is at its memory limit") as caught:
                call()
            assert caught.value.receipts == ()
        assert everything(redis) == before
    assert door.send("support", HELLO).sequence == 2


@pytest.mark.single_server("it fills its memory")
def test_near_the_memory_limit_new_messages_are_refused_and_repeats_answered(door: Door, redis: Redis) -> None:
    """Sweeps see to it that a tenth of the memory is left for what drains need, Celery's part among it."""
    queue = Queue(redis)
    first = door.send("support", HELLO, idempotency_key="first")
    with memory_used(redis, 0.95):
        queue.sweep()
        for call in (lambda: door.send("support", HELLO), lambda: door.send_many("support", texts(1000))):
            with pytest.raises(QueueFull, match="Redis is near its memory limit"):
                call()
        assert door.send("support", HELLO, idempotency_key="first").message_id == first.message_id
        wait_until(lambda: not redis.exists(queue.prefix + "full"), "the last sweep to be forgotten")
        assert door.send("support", HELLO).sequence == 2


@pytest.mark.single_server("it fills its memory")
def test_further_from_the_memory_limit_messages_are_taken(door: Door, redis: Redis) -> None:
    """A tenth and no more."""
    queue = Queue(redis)
    with memory_used(redis, 0.85):
        queue.sweep()
        assert door.send("support", HELLO).sequence == 1


@pytest.mark.single_server("it fills its memory")
def test_a_worker_that_may_not_ask_for_the_memory_sweeps_all_the_same(door: Door, redis: Redis) -> None:
    """An ACL may forbid INFO."""
    redis.acl_setuser("worker", enabled=True, nopass=True, categories=["+@all"], commands=["-info"], keys=["*"])
    try:
        with memory_used(redis, 0.95), Redis.from_url(url_of(redis), username="worker", password="any") as worker:
            with pytest.raises(NoPermissionError):
                worker.info()
            assert Queue(worker).sweep().ran
            assert door.send("support", HELLO).sequence == 1
    finally:
        redis.acl_deluser("worker")


@pytest.mark.single_server("it fills its memory")
def test_at_the_memory_limit_the_queue_still_drains_and_answers(door: Door, redis: Redis) -> None:
    """What frees memory may run when there is none, so a full Redis is a matter of time."""
    receipt = door.send("support", HELLO)
    with memory_limit(redis):
        assert len(push(url_of(redis))) == 1
        status = door.status("support", receipt.message_id)
        assert status is not None
        assert status.state == "delivered"


@pytest.mark.single_server("it fills its memory")
def test_a_fresh_producer_meets_the_memory_limit_the_same_way(door: Door, open_door: Open, redis: Redis) -> None:
    """Also when its script has to be loaded first."""
    door.send("support", HELLO)
    redis.script_flush()
    with memory_limit(redis), pytest.raises(QueueFull):
        open_door(url_of(redis)).send("support", HELLO)
