"""A channel's record that another release has written: workers of both register it whenever they start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs
from support.channels import channel_record
from support.holds import assert_at_rest, drained
from support.queue import SWEEPER, settle

from pushlane import Producer, RoomMessage, UnknownChannel
from pushlane.channel_record import CHANNEL_VERSION
from pushlane_worker.queue.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis import Redis
    from support.previous_release import OldQueue
    from support.queue import Queue

pytestmark = pytest.mark.single_server("the previous release knows no cluster")

KEY = "pushlane:1:{support}:channel"
RECORD = {"version": str(CHANNEL_VERSION), **{name: str(value) for name, value in channel_record().items()}}
TURN = ["d", 0, 64, 0, 30_000, 0]


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    """A worker's, with the channel in its settings."""
    store = Store.connect(redis_url, {"support": channel_record()})
    yield store
    await store.aclose()


def _record(redis: Redis) -> dict[str, str]:
    found: dict[bytes, bytes] = redis.hgetall(KEY)  # type: ignore[assignment] # redis-py mixes its two clients
    return {name.decode(): value.decode() for name, value in found.items()}


def test_either_release_works_with_the_others_record(queue: Queue, old: OldQueue) -> None:
    """Whoever has registered last, both deliver, and neither takes the channel for a new one."""
    for name, release, other in (("a", old, queue), ("b", queue, old)):
        assert not release.register()
        other.enqueue(name, f"{name}1", f"{name}2")
        assert other.turn(*map(settle, other.turn().claims)).settled == (1,)
    assert old.sweep().ran
    assert drained(queue) == []
    assert_at_rest(queue)


async def test_a_sweep_replaces_the_record_of_an_older_release(
    redis: Redis, old: OldQueue, store: Store, queue: Queue
) -> None:
    """The newest worker's settings count, though an old worker may start later; it is a line of the log."""
    old.register()
    assert "version" not in _record(redis)
    with capture_logs() as logs:
        for _ in range(3):
            await store.call("sweep", "support", [SWEEPER])
    assert _record(redis) == RECORD
    assert [(one["event"], one["channel"]) for one in logs] == [("channel.registered", queue.channel)]


@pytest.mark.parametrize("missing", channel_record())
async def test_a_field_that_another_release_does_not_write_is_no_trouble(
    redis: Redis, store: Store, queue: Queue, missing: str
) -> None:
    """The next sweep writes the whole record."""
    redis.hdel(KEY, "version", missing)
    queue.redis.hset(f"{queue.prefix}gate", mapping={"state": "throttled", "until": 1})
    assert (await store.call("sweep", "support", [SWEEPER]))[0] >= 0
    assert _record(redis) == RECORD


@pytest.mark.parametrize("missing", ["rate_limit", "lease_rest_ms", "breaker_after", "retention_ms"])
async def test_nothing_is_pushed_by_half_a_record(
    redis: Redis, redis_url: str, store: Store, missing: str, queue: Queue
) -> None:
    """A turn writes it anew, too; until then producers say that the channel is not registered."""
    redis.hdel(KEY, missing)
    with Producer(redis_url) as producer:
        with pytest.raises(UnknownChannel):
            producer.send(queue.channel, RoomMessage("r", "hello"))
        await store.call("turn", "support", TURN)
        assert _record(redis) == RECORD
        producer.send(queue.channel, RoomMessage("r", "hello"))
