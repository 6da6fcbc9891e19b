"""Both producers against a server that is away, frozen or restarted: what they survive."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial

import pytest
from redis import Redis
from support.channels import register
from support.ports import free_port
from support.producers import HELLO, Door, Open, ids_in, texts
from support.waiting import assert_takes

from pushlane import AsyncProducer, QueueUnavailable
from pushlane.clients import MAX_CONNECTIONS
from pushlane_worker.embedded import EmbeddedServer


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    """A server that the test may freeze and kill, with the channel registered for good."""
    with EmbeddedServer(append_only=True) as server, Redis.from_url(server.url) as client:
        register(client)
        yield server


def test_a_closed_port_is_unavailable_at_once(open_door: Open) -> None:
    """Nothing was sent, so the error claims nothing about a message; it comes well within the timeout."""
    nowhere = open_door(f"redis://127.0.0.1:{free_port()}/0", timeout=5.0)
    started = time.monotonic()
    for call in (
        lambda: nowhere.send("support", HELLO),
        lambda: nowhere.send_many("support", [HELLO]),
        lambda: nowhere.status("support", "id"),
    ):
        with pytest.raises(QueueUnavailable) as caught:
            call()
        assert caught.value.message_id is None
    assert time.monotonic() - started < 5, "one timeout alone"


def test_a_frozen_server_is_unavailable_within_the_timeout(open_door: Open, own_server: EmbeddedServer) -> None:
    """A server that accepts connections and says nothing holds no caller longer than the timeout, also a new one."""
    warm, cold = open_door(own_server.url, timeout=0.6), open_door(own_server.url, timeout=0.6)
    warm.send("support", HELLO)
    own_server.pause()
    try:
        for door in (warm, cold):
            assert_takes(1, partial(_unavailable, door))
    finally:
        own_server.resume()
    assert warm.send("support", HELLO).state == "queued"
    assert cold.send("support", HELLO).state == "queued"


def _unavailable(door: Door) -> None:
    with pytest.raises(QueueUnavailable):
        door.send("support", HELLO)


def test_more_calls_than_connections_all_end_within_the_timeout(own_server: EmbeddedServer) -> None:
    """Waiting for a connection that a frozen server holds is part of it."""
    own_server.pause()
    try:
        # Twice the timeout, if the wait for a connection did not count. The calls themselves take a second on a busy
        # machine.
        assert_takes(5.4, lambda: asyncio.run(_all_unavailable(own_server)))
    finally:
        own_server.resume()


async def _all_unavailable(server: EmbeddedServer) -> None:
    async with AsyncProducer(server.url, timeout=3.0) as producer:
        calls = (producer.send("support", message) for message in texts(3 * MAX_CONNECTIONS))
        answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(answer) for answer in answers} == {QueueUnavailable}


def test_a_call_without_an_answer_can_be_repeated_with_its_key(open_door: Open, own_server: EmbeddedServer) -> None:
    """F63: the frozen server takes the message once it goes on; the repeat meets it and does not make it two."""
    door = open_door(own_server.url, timeout=0.6)
    first = door.send("support", HELLO)
    own_server.pause()
    try:
        with pytest.raises(QueueUnavailable, match="may have been accepted: retry with the same key") as caught:
            door.send("support", HELLO, idempotency_key="order 7")
    finally:
        own_server.resume()
    receipt = door.send("support", HELLO, idempotency_key="order 7")
    assert receipt.message_id == caught.value.message_id
    with Redis.from_url(own_server.url) as redis:
        assert ids_in(redis) == [first.message_id, receipt.message_id]


def test_after_a_restart_of_the_server_the_next_send_works(open_door: Open, own_server: EmbeddedServer) -> None:
    """The pooled connection is dead and the scripts are forgotten; the caller notices neither."""
    door = open_door(own_server.url)
    assert door.send("support", HELLO).sequence == 1
    own_server.restart()
    assert door.send("support", HELLO).sequence == 2
    own_server.restart()
    assert [receipt.sequence for receipt in door.send_many("support", texts(2))] == [3, 4]


def test_a_server_that_is_down_and_comes_back_is_used_again(open_door: Open, own_server: EmbeddedServer) -> None:
    """An error leaves a producer usable."""
    door = open_door(own_server.url)
    door.send("support", HELLO)
    own_server.kill()
    with pytest.raises(QueueUnavailable):
        door.send("support", HELLO)
    own_server.start()
    assert door.send("support", HELLO).sequence == 2


def test_scripts_that_the_server_forgot_are_loaded_again(door: Door, redis: Redis) -> None:
    """SCRIPT FLUSH, as a failover is, costs a round trip and no message."""
    receipt = door.send("support", HELLO)
    redis.script_flush()
    assert door.send("support", HELLO).sequence == 2
    redis.script_flush()
    assert door.status("support", receipt.message_id) is not None
