"""The producers' connections: their address, their end, and threads, processes and tasks that share them."""

import asyncio
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis
from support.channels import register
from support.producers import HELLO, PREFIX, Open, bytes_of, ids_in, texts

from pushlane import AsyncProducer, Producer, QueueUnavailable, RoomMessage
from pushlane.clients import MAX_CONNECTIONS
from pushlane.message_record import read_content
from pushlane_worker.queue.store import Store

# --- address -----------------------------------------------------------------------------------------------------


def test_the_address_may_come_from_the_environment(
    open_door: Open, redis_url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an argument PUSHLANE_REDIS_URL counts; without both the first line says what is missing."""
    register(redis)
    monkeypatch.setenv("PUSHLANE_REDIS_URL", redis_url)
    assert open_door(None).send("support", HELLO).sequence == 1
    monkeypatch.delenv("PUSHLANE_REDIS_URL")
    with pytest.raises(QueueUnavailable, match="pass redis_url or set PUSHLANE_REDIS_URL"):
        open_door(None)


def test_answers_may_be_decoded_by_the_address(open_door: Open, redis_url: str, redis: Redis) -> None:
    """An address that a service shares with other code may ask for text in place of bytes."""
    register(redis)
    decoding = open_door(f"{redis_url}?decode_responses=True")
    receipt = decoding.send("support", HELLO)
    assert receipt.state == "queued"


# --- end ---------------------------------------------------------------------------------------------------------


def test_a_closed_producer_has_left_no_connection(redis: Redis, redis_url: str) -> None:
    """Both context managers give back what they opened."""
    register(redis)
    before = redis.info("clients")["connected_clients"]
    with Producer(redis_url) as producer:
        producer.send("support", HELLO)

    async def send() -> None:
        async with AsyncProducer(redis_url) as producer:
            await producer.send("support", HELLO)

    asyncio.run(send())
    assert redis.info("clients")["connected_clients"] == before


# --- threads, processes and tasks --------------------------------------------------------------------------------


def test_threads_may_share_a_producer(redis: Redis, redis_url: str) -> None:
    """8 threads send 200 each: every number is given once, and each thread's own order is kept."""
    register(redis)
    start = threading.Barrier(8)
    with Producer(redis_url) as producer, ThreadPoolExecutor(8) as pool:

        def send(thread: int) -> list[int]:
            start.wait()
            return [producer.send("support", RoomMessage("room", f"{thread} {n}")).sequence for n in range(200)]

        sequences = list(pool.map(send, range(8)))
    assert sorted(number for own in sequences for number in own) == list(range(1, 1601))
    assert all(own == sorted(own) for own in sequences)
    bodies = redis.mget([f"{PREFIX}message:{message_id}" for message_id in ids_in(redis)])
    sent = [json.loads(read_content(bytes_of(record))[2]).split() for record in bodies]
    for thread in range(8):
        assert [int(n) for own, n in sent if own == str(thread)] == list(range(200))


async def test_tasks_may_share_an_async_producer(redis: Redis, redis_url: str) -> None:
    """300 tasks at once, over a bounded number of connections: every number is given once."""
    register(redis)
    before = redis.info("clients")["connected_clients"]
    async with AsyncProducer(redis_url) as producer:
        receipts = await asyncio.gather(*(producer.send("support", message) for message in texts(300)))
        assert redis.info("clients")["connected_clients"] - before <= MAX_CONNECTIONS
    assert sorted(receipt.sequence for receipt in receipts) == list(range(1, 301))
    assert len(ids_in(redis)) == 300


async def test_a_workers_calls_wait_for_a_connection(redis: Redis, redis_url: str) -> None:
    """Of 300 channels that are looked at at once none is refused."""
    register(redis)
    before = redis.info("clients")["connected_clients"]
    store = Store.connect(redis_url, {})
    queues = await asyncio.gather(*(store.queue_of("support") for _ in range(300)))
    assert queues == ["pushlane"] * 300
    assert redis.info("clients")["connected_clients"] - before <= MAX_CONNECTIONS
    await store.aclose()


def test_more_threads_than_connections_wait_for_each_other(redis: Redis, redis_url: str) -> None:
    """120 threads at once: none is refused."""
    register(redis)
    start = threading.Barrier(120)
    with Producer(redis_url) as producer, ThreadPoolExecutor(120) as pool:

        def send(number: int) -> int:
            start.wait()
            return producer.send("support", RoomMessage("room", str(number))).sequence

        assert sorted(pool.map(send, range(120))) == list(range(1, 121))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_may_go_on_with_its_parents_producer(redis: Redis, redis_url: str) -> None:
    """A web server that forks after the first send: parent and child send at once, and get their own answers."""
    register(redis)
    with Producer(redis_url) as producer:
        producer.send("support", HELLO)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            # Whatever happens, nothing of the test runner's may run in the child.
            try:
                numbers = [producer.send("support", HELLO).sequence for _ in range(100)]
                os.write(writer, json.dumps(numbers).encode())
            finally:
                os._exit(0)
        os.close(writer)
        own = [producer.send("support", HELLO).sequence for _ in range(100)]
        with os.fdopen(reader, "rb") as pipe:
            others = json.loads(pipe.read() or b"[]")
        os.waitpid(child, 0)
        after = producer.send("support", HELLO).sequence
    assert (len(own), len(others)) == (100, 100)
    assert sorted([1, *own, *others, after]) == list(range(1, 203))
