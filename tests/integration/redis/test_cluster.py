"""The clients of a Redis Cluster, and what a script meets on a slot that is being moved or has no primary."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import redis as redis_py
from redis.crc import key_slot
from support.callback import callback
from support.channels import register
from support.cluster import Cluster, begin_move, cluster, end_move
from support.command import pushlane
from support.processes import broker_of
from support.producers import HELLO, AsyncDoor, Door, Open
from support.stack import channel_settings
from support.waiting import wait_until
from support.webhook import webhook

from pushlane import Producer, QueueUnavailable, RoomMessage
from pushlane.clients import connect, connect_async
from pushlane.keys import BELL, channel_prefix
from pushlane.operators.actions import Operator
from pushlane.scripts import Script
from pushlane_worker.queue.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    Pipeline = Callable[..., Awaitable[list[Any]]]

CHANNELS = tuple(f"c{number}" for number in range(12))
SETTINGS = channel_settings("http://127.0.0.1:9") | {"PUSHLANE_BROKER_URL": "redis://127.0.0.1:9/0"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One whose nodes nobody kills."""
    with cluster(tmp_path_factory.mktemp("cluster") / "nodes") as made:
        yield made


@pytest.fixture
def clustered(shared: Cluster) -> Cluster:
    """The shared one, with nothing but the channels in it."""
    for node in shared.masters:
        node.client.flushall()
    _register(shared)
    return shared


@pytest.fixture
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One of the test's own, with the channels in it."""
    with cluster(tmp_path_factory.mktemp("cluster") / "nodes") as made:
        _register(made)
        yield made


def _register(made: Cluster) -> None:
    client = connect(made.url, timeout=2)
    for name in CHANNELS:
        register(client, name)
    client.close()


def _elsewhere(made: Cluster, *keys: str) -> str:
    """A channel whose master holds none of these keys."""
    busy = [made.master_of(key) for key in keys]
    return next(name for name in CHANNELS if made.master_of(channel_prefix(name)) not in busy)


@pytest.fixture(params=["blocking", "asyncio"])
async def pipeline(request: pytest.FixtureRequest) -> AsyncIterator[Pipeline]:
    """Runs a pipeline of HINCRBY on a key of each channel, on one of the two clients, which the test's calls share."""
    clients: list[Any] = []

    async def run(made: Cluster, **how: bool) -> list[Any]:
        blocking = request.param == "blocking"
        if not clients:
            made_with: Any = {"timeout": 2} if blocking else {"timeout": 2, "connect_timeout": 2}
            clients.append((connect if blocking else connect_async)(made.url, **made_with))
        batch = clients[0].pipeline(transaction=False)
        for name in CHANNELS:
            batch.hincrby(f"{channel_prefix(name)}counters", "n", 1)
        answers = await asyncio.to_thread(batch.execute, **how) if blocking else await batch.execute(**how)
        return list(answers)

    yield run
    for client in clients:
        await (client.aclose() if hasattr(client, "aclose") else asyncio.to_thread(client.close))


def test_each_producer_reaches_every_channel_and_rings_for_it(clustered: Cluster, open_door: Open) -> None:
    """The bell is on one node, the channels on three."""
    door = open_door(clustered.url)
    assert len({clustered.master_of(channel_prefix(name)).id for name in CHANNELS}) == 3
    for name in CHANNELS:
        receipt = door.send(name, HELLO, idempotency_key="k")
        assert door.send(name, HELLO, idempotency_key="k").message_id == receipt.message_id
        status = door.status(name, receipt.message_id)
        assert status is not None
        assert status.state == "queued"
    with Operator(clustered.url, by="a test") as operator:
        assert sorted(name.decode() for name in operator.redis.zrange(BELL, 0, -1)) == sorted(CHANNELS)
        assert operator.channels() == sorted(CHANNELS)
        assert [operator.require(name).kind for name in CHANNELS] == ["cinnox"] * len(CHANNELS)


async def test_a_workers_calls_reach_it_and_operators_see_it(clustered: Cluster, redis_url: str) -> None:
    """The bell's next channel; the turns of a drain; commands and their exit codes."""
    store = Store.connect(clustered.url, {})
    with Producer(clustered.url) as producer:
        producer.send("c3", HELLO)
    assert await store.bell(5) == "c3"
    await store.aclose()
    for words in (("status", "c3"), ("channel", "pause", "c3"), ("check",)):
        ended = pushlane(
            *words, redis_url=clustered.url, settings=SETTINGS | {"PUSHLANE_BROKER_URL": broker_of(redis_url)}
        )
        assert "failed   Redis" not in ended.out
        assert ended.code == (words == ("check",)), ended  # nothing listens at the API's address


def test_a_worker_needs_a_broker_beside_it(clustered: Cluster) -> None:
    """Celery supports no cluster."""
    settings = channel_settings("http://127.0.0.1:9")
    ended = pushlane("worker", redis_url=clustered.url, settings=settings)
    ended.refused(2, "PUSHLANE_BROKER_URL: is missing: Celery supports no Redis Cluster")


async def test_a_pipeline_is_split_by_node(clustered: Cluster, pipeline: Pipeline) -> None:
    """Its replies come in the order of its commands."""
    assert await pipeline(clustered) == [1] * len(CHANNELS)
    assert await pipeline(clustered) == [2] * len(CHANNELS)


async def test_a_pipeline_raises_the_error_of_a_command(clustered: Cluster, pipeline: Pipeline) -> None:
    """Unless its caller wants to see for itself; the others are done once."""
    with connect(clustered.url, timeout=2) as client:
        client.hset(f"{channel_prefix('c5')}counters", "n", "x")
    with pytest.raises(redis_py.ResponseError, match="not an integer"):
        await pipeline(clustered)
    answers = await pipeline(clustered, raise_on_error=False)
    assert isinstance(answers.pop(5), redis_py.ResponseError)
    assert answers == [2] * (len(CHANNELS) - 1)


def test_no_script_runs_on_a_slot_that_is_moved_key_by_key(clustered: Cluster, open_door: Open) -> None:
    """On neither node: each has a part of the channel. Afterwards all is as if nothing had happened."""
    door = open_door(clustered.url, timeout=4)
    first = [door.send("c0", RoomMessage(f"r{n}", "before")).sequence for n in range(9)]
    slot, source = key_slot(b"{c0}"), clustered.master_of("{c0}")
    to = next(node for node in clustered.masters if node is not source)
    begin_move(slot, source, to)
    half = source.client.cluster("GETKEYSINSLOT", slot, 7)
    source.client.migrate("127.0.0.1", to.port, half, 0, 5000)
    before = [node.client.dbsize() for node in (source, to)]
    with pytest.raises(QueueUnavailable, match="a part of the Redis Cluster is unavailable: it is being moved"):
        door.send("c0", RoomMessage("r0", "during"))
    assert [node.client.dbsize() for node in (source, to)] == before
    while keys := source.client.cluster("GETKEYSINSLOT", slot, 10):
        source.client.migrate("127.0.0.1", to.port, keys, 0, 5000)
    end_move(slot, source, to)
    assert door.send("c0", RoomMessage("r0", "after")).sequence == len(first) + 1


@pytest.mark.long
async def test_other_channels_go_on_while_a_node_is_away(mortal: Cluster, pipeline: Pipeline) -> None:
    """Until its replica has taken over; then its channels go on, too, and no command was repeated."""
    assert await pipeline(mortal) == [1] * len(CHANNELS)
    gone = mortal.master_of(channel_prefix("c0"))
    there = [mortal.master_of(channel_prefix(name)) is not gone for name in CHANNELS]
    await asyncio.to_thread(lambda: mortal.replica_of(gone).kill())  # so that nobody takes over
    gone.kill()
    answers = await pipeline(mortal, raise_on_error=False)
    assert [answer == 2 for answer in answers] == there
    assert {type(answer) for answer, is_there in zip(answers, there, strict=True) if not is_there} == {
        redis_py.ConnectionError
    }


@pytest.mark.long
def test_the_bells_node_may_be_away_while_others_enqueue(mortal: Cluster) -> None:
    """A sweep makes up for the ring. An idle channel's first message is late by that, and its producer by no more."""
    name, gone = _elsewhere(mortal, BELL), mortal.master_of(BELL)
    with Producer(mortal.url) as producer:
        producer.kind_of(name)
        gone.kill()
        began = time.monotonic()
        assert producer.send(name, HELLO).sequence == 1
        assert time.monotonic() - began < 1


@pytest.mark.long
def test_the_callback_and_check_see_the_new_primary(mortal: Cluster, tmp_path: Path, redis_url: str) -> None:
    """A callback that asked the old one for ever would stay out of its balancer."""
    with callback(tmp_path, mortal.url, webhook()) as running, httpx.Client(base_url=running.url) as client:
        assert client.get("/readyz").json() == {"status": "ok"}
        gone = mortal.masters[0]
        gone.kill()
        mortal.wait_for_promotion(gone)
        wait_until(lambda: client.get("/readyz").json() == {"status": "ok"}, "the callback to be ready")
        mortal.restart(gone)
        assert client.get("/readyz").json() == {"status": "ok"}
    settings = SETTINGS | {"PUSHLANE_BROKER_URL": broker_of(redis_url)}
    assert "failed   Redis" not in pushlane("check", redis_url=mortal.url, settings=settings).out


@pytest.mark.long
@pytest.mark.parametrize("kind", [Producer, AsyncDoor])
def test_a_node_that_hangs_stops_its_own_channels_alone(mortal: Cluster, kind: Callable[..., Door]) -> None:
    """Whoever asks for the map asks another node next."""
    stuck = _elsewhere(mortal, BELL)
    hung, name = mortal.master_of(channel_prefix(stuck)), _elsewhere(mortal, BELL, channel_prefix(stuck))
    door = kind(mortal.url, timeout=1.0)
    door.send(name, HELLO)
    hung.freeze()
    with pytest.raises(QueueUnavailable):
        door.send(stuck, HELLO)
    began = time.monotonic()
    assert door.send(name, RoomMessage("room", "another")).sequence == 2
    assert time.monotonic() - began < 2
    door.close()
    hung.resume()


@pytest.mark.single_server("it takes one for a cluster")
def test_a_single_server_is_no_cluster(redis_url: str) -> None:
    """Its address has another scheme, and the error says whose answer it is."""
    url = redis_url.replace("redis://", "redis+cluster://")
    with Producer(url) as producer, pytest.raises(QueueUnavailable, match="no node of the Redis Cluster answers"):
        producer.send("support", HELLO)


def test_scripts_that_do_not_ring_are_called_as_ever(clustered: Cluster) -> None:
    """Their reply is not wrapped."""
    with connect(clustered.url, timeout=2) as client:
        now, *_ = Script("waiting").call(client, f"{channel_prefix('c0')}scheduled", "", 1)
        assert now > 0
