"""The dispatcher on a real server, without Celery: what it does when a registration or a publication fails."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from kombu.exceptions import OperationalError
from redis import ConnectionError as RedisConnectionError
from redis import Redis
from redis.exceptions import OutOfMemoryError
from structlog.testing import capture_logs
from support.channels import register
from support.processes import addresses
from support.stack import channel_settings
from support.waiting import wait_until_async

from pushlane import Producer, RoomMessage
from pushlane_worker.dispatch import supervisor
from pushlane_worker.dispatch.dispatcher import Dispatcher
from pushlane_worker.dispatch.supervisor import Supervisor
from pushlane_worker.queue.store import Store
from pushlane_worker.settings import Settings, load_settings

OnQueue = Callable[[str, str], None]
OnChannel = Callable[[str], None]


@pytest.fixture
def settings(redis_url: str, redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A worker's, with the channel ``support``; ``sales`` is another worker's."""
    monkeypatch.chdir(tmp_path)
    for name, value in {**channel_settings("http://127.0.0.1:1"), **addresses(redis_url)}.items():
        monkeypatch.setenv(name, value)
    register(redis)
    register(redis, "sales")
    return load_settings()


@contextlib.asynccontextmanager
async def _dispatcher(settings: Settings, publish: OnQueue, drain: OnChannel, *consumed: str) -> AsyncIterator[None]:
    running = asyncio.create_task(Dispatcher(settings, publish, drain, lambda: consumed or ("pushlane",)).run())
    yield
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def _until(predicate: Callable[[], bool], what_for: str) -> None:
    async def look() -> bool:
        return predicate()

    await wait_until_async(look, what_for)


def _refusing(error: Exception, refused: list[str]) -> OnQueue:
    def publish(channel: str, _: str) -> None:
        refused.append(channel)
        raise OperationalError from error

    return publish


async def test_a_server_that_is_unfit_is_reported(settings: Settings, redis: Redis) -> None:
    """Also one that was away when the worker started, and so was not refused."""
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with capture_logs() as logs:
            async with _dispatcher(settings, lambda *_: None, lambda *_: None):
                await _until(lambda: "redis.unfit" in [one["event"] for one in logs], "the line")
    finally:
        redis.config_set("maxmemory-policy", "noeviction")
    (problem,) = [one["problem"] for one in logs if (one["event"], one["log_level"]) == ("redis.unfit", "error")]
    assert "allkeys-lru" in problem


async def test_its_heart_beats_while_redis_is_away(settings: Settings, tmp_path: Path) -> None:
    """A restart would not bring Redis back."""
    file = tmp_path / "heartbeat"
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0", "heartbeat_file": file})
    async with _dispatcher(away, lambda *_: None, lambda *_: None):
        await _until(file.exists, "the first beat")
        first = file.stat().st_mtime_ns
        await _until(lambda: file.stat().st_mtime_ns > first, "the next one")


async def test_its_heart_stops_with_a_step_that_is_stuck(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a restart helps."""
    file, asked = tmp_path / "heartbeat", []

    def is_stuck(_: Supervisor) -> bool:
        asked.append(1)
        return True

    monkeypatch.setattr(Supervisor, "is_stuck", is_stuck)
    beating = settings.model_copy(update={"heartbeat_file": file})
    async with _dispatcher(beating, lambda *_: None, lambda *_: None):
        await _until(lambda: len(asked) > 1, "two beats")
    assert not file.exists()


async def test_its_heart_beats_while_its_own_drain_waits(
    settings: Settings, producer: Producer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a Redis that is away: a restart would not bring it back."""
    monkeypatch.setattr(supervisor, "STUCK_S", 2.5)  # the bell alone is waited for for 1 s
    file, drained, goes_on = tmp_path / "heartbeat", threading.Event(), threading.Event()

    def wait(_: str) -> None:
        drained.set()
        goes_on.wait(60)

    producer.send("support", RoomMessage("r", "hello"))
    beating = settings.model_copy(update={"heartbeat_file": file})
    async with _dispatcher(beating, _refusing(RedisConnectionError(), []), wait):
        await _until(drained.is_set, "its drain")
        began = time.time()
        try:
            await _until(lambda: file.stat().st_mtime > began + 3.5, "a beat long after that")
        finally:
            goes_on.set()


async def test_its_own_drain_that_breaks_is_reported(settings: Settings, producer: Producer) -> None:
    """And its dispatcher goes on."""
    drained: list[str] = []

    def fail(channel: str) -> None:
        drained.append(channel)
        raise ValueError

    producer.send("support", RoomMessage("r", "hello"))
    with capture_logs() as logs:
        async with _dispatcher(settings, _refusing(RedisConnectionError(), []), fail):
            await _until(lambda: len(drained) > 1, "another drain")
    assert "dispatcher.bell_broken" in [line["event"] for line in logs]


async def test_a_channel_that_can_not_be_registered_is_swept_all_the_same(
    settings: Settings, producer: Producer, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep rings for what waits, and so makes the room that the registration may need."""

    async def refuse(*_: object) -> None:
        raise OutOfMemoryError

    monkeypatch.setattr(Store, "register", refuse)
    producer.send("support", RoomMessage("r", "hello"))
    for key in ("pushlane:1:bell", "pushlane:1:{support}:pending"):
        redis.delete(key)  # the ring was lost
    published: list[tuple[str, str]] = []
    async with _dispatcher(settings, lambda *drain: published.append(drain), lambda _: None):
        await _until(lambda: bool(published), "a drain of the channel")
    assert published[0] == ("support", "pushlane")


async def test_it_ends_though_a_cancellation_was_swallowed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """As asyncio.wait_for of Python 3.11 does, on which redis-py stands: a worker would be long to stop."""
    asked = asyncio.Event()

    async def swallow(*_: object) -> None:
        asked.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(10)

    monkeypatch.setattr(Store, "bell", swallow)
    async with asyncio.timeout(5), _dispatcher(settings, lambda *_: None, lambda _: None):
        await asked.wait()


@pytest.mark.parametrize("error", [OutOfMemoryError(), RedisConnectionError()], ids=["out of memory", "away"])
async def test_a_dispatcher_drains_itself_what_the_broker_does_not_take(
    settings: Settings, producer: Producer, error: Exception
) -> None:
    """And nothing of another worker's, nor of a queue that its worker does not consume."""
    drained: list[str] = []
    refused: list[str] = []
    producer.send("sales", RoomMessage("r", "hello"))
    producer.send("support", RoomMessage("r", "hello"))
    async with _dispatcher(settings, _refusing(error, refused), drained.append):
        await _until(lambda: refused.count("support") > 1 and "sales" in refused, "both, and the first one again")
    assert set(drained) == {"support"}
    drained.clear()
    refused.clear()
    async with _dispatcher(settings, _refusing(error, refused), drained.append, "other"):
        await _until(lambda: "support" in refused, "its ring")
    assert drained == []


async def test_a_broker_that_hangs_delays_a_drain_by_a_second(
    settings: Settings, producer: Producer, caplog: pytest.LogCaptureFixture
) -> None:
    """While a publication hangs, the next ones are not even tried; one that fails at last adds nothing to the log."""
    drained: list[str] = []
    tried: list[str] = []
    answers = threading.Event()

    def hang(channel: str, _: str) -> None:
        tried.append(channel)
        answers.wait(20)
        raise OperationalError("it timed out")

    producer.send("support", RoomMessage("r", "hello"))
    async with _dispatcher(settings, hang, drained.append):
        await _until(lambda: len(drained) > 1, "two drains")
        assert tried == ["support"]
        answers.set()
        await _until(lambda: len(tried) > 1, "another publication")
    assert "never retrieved" not in caplog.text
