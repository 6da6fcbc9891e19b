"""A failover that TCP connections survive: new ones lead to the new primary, and every client drops its old ones."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import redis
from celery import Celery
from redis.exceptions import ReadOnlyError
from support.channels import register
from support.failover import Pair, replicated
from support.producers import HELLO, Open, ids_in

from pushlane import RoomMessage
from pushlane.address import parse
from pushlane.clients import connect, connect_async
from pushlane.connections import to_primary
from pushlane.keys import channel_prefix
from pushlane.operators.actions import Operator
from pushlane_worker.broker import Connection
from pushlane_worker.dispatcher_step import make_publish
from pushlane_worker.queue.store import Store
from pushlane_worker.task_message import DRAIN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    Run = Callable[..., Awaitable[list[object]]]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A primary with the channel ``support``, and its replica."""
    with replicated() as pair:
        register(pair.old)
        yield pair


def test_a_producer_goes_on_with_the_new_primary(pair: Pair, open_door: Open) -> None:
    """Its next message is accepted there, without an error."""
    door = open_door(pair.url)
    door.send("support", HELLO)
    pair.fail_over()
    assert door.send("support", RoomMessage("room", "after")).sequence == 2
    assert len(ids_in(pair.new)) == 2


def test_an_operator_goes_on_with_the_new_primary(pair: Pair) -> None:
    """And so do the commands' reads, which have the same client."""
    with Operator(pair.url, by="a test") as operator:
        operator.pause("support")
        pair.fail_over()
        assert operator.resume("support")


@pytest.fixture(params=["blocking", "asyncio"])
async def run(request: pytest.FixtureRequest, pair: Pair) -> AsyncIterator[Run]:
    """Runs a pipeline that reads, writes and reads, on one of the two clients."""
    blocking, client = connect(pair.url, timeout=2), connect_async(pair.url, timeout=2, connect_timeout=2)

    async def run(**how: bool) -> list[object]:
        kind: Any = blocking if request.param == "blocking" else client
        batch = kind.pipeline(transaction=how.pop("transaction"))
        batch.get("x").incr("count").get("x")
        answers = batch.execute(**how)
        return list(await answers if kind is client else answers)

    yield run
    blocking.close()
    await client.aclose()


@pytest.mark.parametrize("transaction", [True, False])
async def test_a_pipeline_goes_on_with_the_new_primary(pair: Pair, run: Run, transaction: bool) -> None:  # noqa: FBT001 # a parameter
    """Whichever of its answers says that the server takes no writes."""
    assert await run(transaction=transaction) == [None, 1, None]
    await asyncio.to_thread(pair.fail_over)
    assert await run(transaction=transaction) == [None, 2, None]


async def test_a_pipeline_that_collects_errors_goes_on_the_next_time(pair: Pair, run: Run) -> None:
    """Its caller gets the answer, and the connection ends all the same."""
    await run(transaction=False, raise_on_error=False)
    await asyncio.to_thread(pair.fail_over)
    assert isinstance((await run(transaction=False, raise_on_error=False))[1], ReadOnlyError)
    assert await run(transaction=False, raise_on_error=False) == [None, 2, None]


def test_the_broker_goes_on_with_the_new_primary(pair: Pair) -> None:
    """What Celery publishes after the failover comes out of the queue of the new primary."""
    app, made = Celery(set_as_current=False), Connection(parse(pair.url).for_celery())
    with made as connection, connection.SimpleQueue("tasks") as queue:

        def publish() -> None:
            how = {"queue": "tasks", "connection": connection, "retry": True, "retry_policy": {"max_retries": 1}}
            app.send_task(DRAIN, ("support",), **how)

        publish()
        queue.get(timeout=30).ack()
        pair.fail_over()
        publish()
        assert pair.new.llen("tasks") == 1


def test_a_class_of_connections_is_not_kept_longer_than_they_are() -> None:
    """Kombu makes one at each attempt to connect: while the broker was away, a worker grew by 65 kB a second."""
    made = weakref.ref(to_primary(type("Connection", (redis.Connection,), {})))
    gc.collect()
    assert made() is None


def _replace(pair: Pair) -> None:
    """Fences the primary, as sentinels do by hand: its replica has become another one."""
    pair.old.wait(1, 5000)
    pair.new.replicaof("NO", "ONE")
    pair.old.config_set("min-replicas-to-write", 1)
    pair.address.target = pair.new_port


def test_a_primary_that_has_lost_its_replicas_is_left_at_once(pair: Pair, open_door: Open) -> None:
    """It answers so on every connection that a pool still has to it."""
    door = open_door(pair.url)
    door.send("support", HELLO)
    _replace(pair)
    assert door.send("support", RoomMessage("room", "after")).sequence == 2


def test_no_task_that_waits_at_a_replaced_primary_holds_one_up(pair: Pair) -> None:
    """Nobody takes it there any more. The first call fails, and the next one has a new connection."""
    app = Celery(set_as_current=False, broker=parse(pair.url).for_celery(), amqp="pushlane_worker.broker:AMQP")
    publish = make_publish(app)
    publish("support", "tasks")
    publish("support", "tasks")
    assert pair.old.llen("tasks") == 1
    _replace(pair)
    pair.new.delete("tasks")
    with pytest.raises(ReadOnlyError, match="NOREPLICAS"):
        publish("support", "tasks")
    publish("support", "tasks")
    assert pair.new.llen("tasks") == 1


async def test_no_ring_of_a_replaced_primary_is_looked_at(pair: Pair) -> None:
    """A read would succeed there: a worker's drains ended at once for ten seconds, as rings seemed to be answered."""
    store = Store.connect(pair.url, {})
    assert not await store.is_ring_out("support")
    await asyncio.to_thread(_replace, pair)
    pair.new.set(f"{channel_prefix('support')}pending", 1)
    assert await store.is_ring_out("support")
    await store.aclose()
