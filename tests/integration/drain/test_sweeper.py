"""Which channels are swept: those that have something, by one dispatcher of the fleet; the idle ones hardly ever."""

import asyncio
import contextlib
from collections import ChainMap, Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from redis import Redis
from structlog.testing import capture_logs
from support.channels import register
from support.processes import addresses
from support.stack import channel_settings
from support.waiting import wait_until_async

from pushlane import Producer, RoomMessage
from pushlane.clients import connect_async
from pushlane.keys import CHANNELS
from pushlane_worker.dispatch.dispatcher import Dispatcher
from pushlane_worker.dispatch.supervisor import Supervisor
from pushlane_worker.dispatch.sweeper import LOOK_EACH_S, Sweeper, _groups
from pushlane_worker.queue.store import Store
from pushlane_worker.settings import Settings, load_settings

CHANNELS_SET = 450
"""Three groups, the last one not full."""


@pytest.fixture
def settings(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A worker's with many channels."""
    monkeypatch.chdir(tmp_path)
    channels = [channel_settings("http://127.0.0.1:1", f"c{number}") for number in range(CHANNELS_SET)]
    for name, value in ChainMap(addresses(redis_url), *channels).items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each channel was swept, by whatever dispatcher."""
    counted: Counter[str] = Counter()
    call = Store.call

    async def count(store: Store, script: str, channel: str, arguments: Sequence[object]) -> object:
        counted[channel] += script == "sweep"
        return await call(store, script, channel, arguments)

    monkeypatch.setattr(Store, "call", count)
    return counted


@contextlib.asynccontextmanager
async def _fleet(settings: Settings, size: int) -> AsyncIterator[None]:
    """Dispatchers that publish nothing, with all channels registered."""

    def ignore(*_: str) -> None:
        pass

    dispatchers = [Dispatcher(settings, ignore, ignore, lambda: ("pushlane",)) for _ in range(size)]
    running = [asyncio.create_task(dispatcher.run()) for dispatcher in dispatchers]
    yield
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def _until(redis: Redis, channels: int) -> None:
    async def registered() -> bool:
        return redis.scard(CHANNELS) == channels

    await wait_until_async(registered, "all channels to be registered", 30)


async def test_one_of_a_fleet_sweeps_what_has_messages_and_leaves_idle_channels_alone(
    settings: Settings, redis: Redis, producer: Producer, swept: Counter[str]
) -> None:
    """Each second one sweep of a busy channel, of an idle one hardly ever."""
    async with _fleet(settings, 1):
        await _until(redis, CHANNELS_SET)
    for number in range(CHANNELS_SET):  # as after a sweep
        redis.hset(f"pushlane:1:{{c{number}}}:sweep", "at", int(redis.time()[0]) * 1000)
    producer.send("c7", RoomMessage("r", "hello"))
    producer.send("c449", RoomMessage("r", "hello"), not_before=3600)
    swept.clear()

    async def often() -> bool:
        return min(swept["c7"], swept["c449"]) >= 4

    async with _fleet(settings, 3):
        began = asyncio.get_running_loop().time()
        await wait_until_async(often, "busy channels to be swept", 30)
        seconds = asyncio.get_running_loop().time() - began
    assert max(swept["c7"], swept["c449"]) <= seconds / 0.9 + 2, "each of the fleet swept it"
    idle = swept.total() - swept["c7"] - swept["c449"]
    assert idle <= 5, f"{idle} sweeps of idle channels in {seconds:.0f} s"


@pytest.mark.single_server("the nodes of a cluster are emptied one after the other, the set of channels for itself")
async def test_what_redis_has_lost_is_registered_again(settings: Settings, redis: Redis) -> None:
    """Also of idle channels, within a second or two: producers wait for it."""
    async with _fleet(settings, 2):
        await _until(redis, CHANNELS_SET)
        redis.flushall()
        await _until(redis, CHANNELS_SET)


async def test_a_channel_that_was_long_idle_is_swept(settings: Settings, redis: Redis, swept: Counter[str]) -> None:
    """Its gate opens in its record when it is time, though nobody sends anything."""
    async with _fleet(settings, 1):
        await _until(redis, CHANNELS_SET)
        redis.hset("pushlane:1:{c3}:sweep", "at", 1)

        async def once() -> bool:
            return swept["c3"] > 0

        await wait_until_async(once, "the idle channel's sweep")


async def test_a_look_that_outlives_the_end_starts_no_sweep(redis_url: str, redis: Redis, producer: Producer) -> None:
    """Its cancellation was swallowed, and the group that it would sweep in takes no more tasks."""
    register(redis)
    producer.send("support", RoomMessage("r", "hello"))
    store, supervisor = Store(connect_async(redis_url, timeout=2, connect_timeout=2), {}), Supervisor()
    sweeper = Sweeper(store, {}, {"support": "pushlane"}, lease_s=30)
    supervisor.ended = True
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as tasks:
            tasks._aborting = True  # type: ignore[attr-defined] # what the first cancelled task makes it
            (group,) = _groups(["support"])
            assert await supervisor.tried("look", lambda: sweeper._look(group, supervisor, tasks))
    await store.aclose()
    assert logs == []


async def test_who_was_too_late_looks_again_at_any_time(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In step with the others it would be too late for minutes, and miss that a queue is consumed again."""
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    store, supervisor = Store(connect_async(redis_url, timeout=2, connect_timeout=2), {}), Supervisor()
    sweeper = Sweeper(store, {}, {"support": "pushlane"}, lease_s=30)
    (group,) = _groups(["support"])
    async with asyncio.TaskGroup() as tasks:
        with monkeypatch.context() as patch:
            patch.setattr("pushlane_worker.dispatch.sweeper.asyncio.sleep", note)
            for _ in range(100):
                await sweeper._look(group, supervisor, tasks)
    await store.aclose()
    first, *later = waits
    assert first >= LOOK_EACH_S
    assert min(later) < LOOK_EACH_S / 4
    assert max(later) > LOOK_EACH_S * 3 / 4
