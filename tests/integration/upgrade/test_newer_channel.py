"""A channel that a newer release has registered, in a form that this one does not know."""

from __future__ import annotations

import asyncio
import contextlib
import queue as queues
import re
from typing import TYPE_CHECKING

import pytest
from redis import ResponseError
from structlog.testing import capture_logs
from support.channels import register
from support.command import pushlane
from support.feed import relay
from support.processes import addresses
from support.producers import everything
from support.shell import show
from support.stack import channel_settings
from support.waiting import wait_until_async

from pushlane import AsyncProducer, NewerChannel, Producer, QueueUnavailable, RoomMessage
from pushlane.channel_record import CHANNEL_VERSION
from pushlane.clients import connect_async
from pushlane.keys import BELL
from pushlane.service import effects
from pushlane_worker.dispatch.dispatcher import Dispatcher
from pushlane_worker.drains.loop_thread import LoopThread
from pushlane_worker.queue.store import Store
from pushlane_worker.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from redis import Redis
    from support.producers import Door
    from support.queue import Queue

    from pushlane_worker.drains.drain import Report

KEY = "pushlane:1:{support}:channel"
NEWER = {"version": CHANNEL_VERSION + 1, "sort": "cinnox"}
SAYS = f"channel 'support' was registered by a newer release, whose record (version {CHANNEL_VERSION + 1})"
OTHER = "sales"
LOOKS = 4
UNFIT = {"redis.unfit", "queue.not_consumed"}
"""What else the log has of a server for tests and a worker without Celery."""

CALLS: Mapping[str, Callable[[Queue], object]] = {
    "enqueue": lambda queue: queue.enqueue("a", "a9"),
    "turn": lambda queue: queue.turn(),
    "sweep": lambda queue: queue.sweep(),
    "cancel": lambda queue: queue.cancel("a1"),
    "decide": lambda queue: queue.decide("k", "a"),
    "status": lambda queue: queue.status("gone"),
    "pause": lambda queue: queue.pause(),
    "skip": lambda queue: queue.skip("a"),
    "replay": lambda queue: queue.replay(),
    "purge": lambda queue: queue.purge("a1"),
    "register": lambda queue: queue.register(),
}


def _replace_record(redis: Redis) -> None:
    """As a newer release would."""
    redis.delete(KEY)
    redis.hset(KEY, mapping=NEWER)  # type: ignore[arg-type] # numbers, too


def _decide(key: str) -> effects.Effect:
    return effects.decide("support", key, "allow", fields=None, reason="")


@pytest.fixture
def newer(redis: Redis) -> None:
    """The channel ``support`` as a newer release has registered it, and the channel ``sales`` as we do."""
    register(redis)
    register(redis, OTHER)
    _replace_record(redis)


@pytest.fixture
def settings(redis_url: str, newer: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Those of a worker of this release that has the channel, too."""
    del newer
    monkeypatch.chdir(tmp_path)
    for name, value in {**channel_settings("http://127.0.0.1:1"), **addresses(redis_url)}.items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest.mark.parametrize("call", CALLS)
def test_no_script_touches_it(redis: Redis, queue: Queue, call: str) -> None:
    """Each says so, and changes nothing: its fields may mean something else."""
    queue.enqueue("a", "a1", "a2")
    _replace_record(redis)
    before = everything(redis)
    with pytest.raises(ResponseError, match=f"^NEWERCHANNEL {CHANNEL_VERSION + 1}"):
        CALLS[call](queue)
    assert everything(redis) == before


@pytest.mark.parametrize("cached", [False, True])
def test_a_service_is_told_to_upgrade(redis: Redis, door: Door, *, cached: bool) -> None:
    """Also one that still knows the channel's limits. As for any `QueueUnavailable`, it may try again later."""
    if cached:
        door.send("support", RoomMessage("r", "hello"))
    _replace_record(redis)
    before = everything(redis)
    with pytest.raises(QueueUnavailable, match=f"^{re.escape(SAYS)}"):
        door.send("support", RoomMessage("r", "hello"))
    assert everything(redis) == before


def test_every_call_of_a_producer_says_it(redis: Redis, producer: Producer) -> None:
    """Its error has the channel and the version."""
    register(redis)
    producer.kind_of("support")
    _replace_record(redis)
    for call in (
        lambda: producer.cancel("support", "m"),
        lambda: producer.status("support", "m"),
        lambda: producer.decide("support", "key", "allow"),
    ):
        with pytest.raises(NewerChannel) as caught:
            call()
        assert (caught.value.channel, caught.value.version) == ("support", CHANNEL_VERSION + 1)


async def test_a_worker_leaves_it_alone_and_says_so_once(
    redis: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it looks; and a ring that it gets becomes a drain that a newer worker may take."""
    looks = 0
    call = Store.call

    async def count(store: Store, script: str, channel: str, arguments: Sequence[object]) -> object:
        nonlocal looks
        looks += 1
        return await call(store, script, channel, arguments)

    async def often() -> bool:
        return looks >= LOOKS

    monkeypatch.setattr(Store, "call", count)
    redis.zadd(BELL, {"support": 1})
    before = redis.hgetall(KEY)
    published: list[tuple[str, str]] = []
    running = Dispatcher(settings, lambda *drain: published.append(drain), lambda _: None, lambda: ("pushlane",)).run()
    with capture_logs() as logs:
        task = asyncio.create_task(running)
        began = asyncio.get_running_loop().time()
        await wait_until_async(often, "several sweeps", 30)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert asyncio.get_running_loop().time() - began > 0.8 * (LOOKS - 2), "it spins"
    assert redis.hgetall(KEY) == before
    ours = [one for one in logs if one["log_level"] != "info" and one["event"] not in UNFIT]
    assert [(one["event"], one["channel"]) for one in ours] == [("channel.newer_version", "support")]
    assert SAYS in ours[0]["problem"]
    assert published == [("support", "pushlane")]


def test_a_drain_of_it_ends_at_once_and_is_no_failure(redis: Redis, settings: Settings) -> None:
    """Its task was meant for a newer worker; the ring that it does not answer lapses."""
    redis.set("pushlane:1:{support}:pending", int(redis.time()[0]) * 1000, px=10_000)
    reports: queues.Queue[Report] = queues.Queue()
    loop = LoopThread(settings)
    with capture_logs() as logs, contextlib.closing(loop):
        loop.drain("support", reports.put)
        report = reports.get(timeout=10)
    assert (report.ended, report.fault, report.pushes) == ("newer", "", 0)
    assert logs == []


@pytest.mark.usefixtures("newer")
async def test_what_moderation_does_in_it_waits_for_a_newer_process(redis_url: str) -> None:
    """In its order, and with one line a try; none of it is given up."""
    waiting = {key: [relay(number), _decide(key)] for number, key in enumerate("abc")}
    client = connect_async(redis_url, timeout=5, connect_timeout=5)
    with capture_logs() as logs:
        async with contextlib.aclosing(client), AsyncProducer(redis_url) as producer:
            assert await effects.apply(client, producer, waiting) == waiting
    assert [one["event"] for one in logs] == ["effect.postponed"] * 2, "one for each lane"


@pytest.mark.usefixtures("newer")
def test_commands_say_it_in_one_line(redis: Redis, redis_url: str) -> None:
    """Registering it from an older installation is refused, too; what they show of other channels is not affected."""
    before = redis.hgetall(KEY)
    own = channel_settings("http://127.0.0.1:1")
    for command in (
        ("channel", "register", "support"),
        ("channel", "pause", "support"),
        ("blocked", "list", "support"),
    ):
        ended = pushlane(*command, redis_url=redis_url, settings=own)
        ended.refused(1, f"pushlane: {SAYS}")
    out = pushlane("status", redis_url=redis_url).ok()
    assert SAYS in out
    assert "sales: gate open" in out
    documents = {one["channel"]: one for one in show(redis_url, "status")["channels"]}
    assert documents["support"] == {"channel": "support", "registered": True, "newer_version": CHANNEL_VERSION + 1}
    assert documents[OTHER]["depth"] == 0
    listed = pushlane("channel", "list", redis_url=redis_url, settings=own).ok()
    assert "support  cinnox  http://127.0.0.1:1  registered by a newer release\n" in listed
    assert redis.hgetall(KEY) == before


@pytest.mark.usefixtures("newer")
def test_a_check_goes_on_with_the_other_channels(redis_url: str) -> None:
    """Also with what it says of the queue and of the chat APIs."""
    own = channel_settings("http://127.0.0.1:1") | channel_settings("http://127.0.0.1:1", OTHER)
    lines = pushlane("check", redis_url=redis_url, settings=own).out.splitlines()
    assert [line for line in lines if SAYS in line] == [f"failed   {NewerChannel('support', CHANNEL_VERSION + 1)}"]
    assert "warning  channel support: no worker consumes its queue pushlane" in lines
    assert "warning  channel sales: no worker consumes its queue pushlane" in lines


def test_a_version_that_is_no_number_is_one_line(redis: Redis, redis_url: str) -> None:
    """Whoever has written that, no release of ours."""
    register(redis)
    redis.hset(KEY, "version", "x")
    told = "the record of channel 'support' is damaged: its version is not a number"
    pushlane("send", "support", "--room", "r", "hello", redis_url=redis_url).refused(1, told)


@pytest.mark.usefixtures("newer")
def test_a_removed_channel_is_any_releases_again(redis: Redis, redis_url: str) -> None:
    """The way back: remove it, and the older workers register it."""
    assert "support: removed" in pushlane("channel", "remove", "support", redis_url=redis_url).ok()
    register(redis)
    assert show(redis_url, "status", "support")["channels"][0]["kind"] == "cinnox"
