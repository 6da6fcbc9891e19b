"""The effects of decisions are done once, in their order; what can never be done is given up."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis as AsyncRedis
from structlog.testing import capture_logs
from support.channels import register
from support.feed import ALLOW, Open, decision, queued, relay, soon, unfed

from pushlane import Hold, RoomMessage, ThirdPartyMessage
from pushlane.async_producer import AsyncProducer
from pushlane.callback.decisions import feed as feed_module
from pushlane.errors import InvalidMessage, QueueUnavailable
from pushlane.hold import MAX_HOLD_DAYS
from pushlane.keys import DECISIONS_PREFIX, channel_prefix
from pushlane.service import effects

if TYPE_CHECKING:
    from redis import Redis

    from pushlane.callback.verdict import Kind

pytestmark = pytest.mark.usefixtures("patient")


async def test_effects_are_done_in_the_order_of_the_decisions_and_acknowledged(redis: Redis, open_feed: Open) -> None:
    """Each message is enqueued once, and nothing of it is left behind."""
    register(redis)
    async with open_feed() as feed:
        for number in range(150):
            await feed.record(decision(number, ALLOW, relay(number, room=f"r{number % 2}")))
    assert queued(redis, "r0") == [f"text {number}" for number in range(0, 150, 2)]
    assert queued(redis, "r1") == [f"text {number}" for number in range(1, 150, 2)]
    assert unfed(redis) == []
    assert not list(redis.scan_iter(f"{DECISIONS_PREFIX}effects:*"))


async def test_decisions_on_held_messages_are_made(redis: Redis, open_feed: Open, producer: AsyncProducer) -> None:
    """Many with one call, a rewrite by itself; a script that the server forgot is loaded again."""
    register(redis)
    rewrite = effects.decide("support", "w", "rewrite", fields={"room_id": "-", "text": "text new"}, reason="")
    plain = [
        effects.decide("support", f"k{n}", "forbid" if n % 2 else "allow", fields=None, reason="no") for n in range(9)
    ]
    async with open_feed(start=False) as feed:
        for number, effect in enumerate([rewrite, *plain]):
            await feed.record(decision(number, ALLOW, effect))
        redis.script_flush()
        feed.start()
        await soon(lambda: not unfed(redis), "the effects")
    for number in range(9):
        assert await producer.decide("support", f"k{number}", "discard") == ("forbid" if number % 2 else "allow")
    assert await producer.decide("support", "w", "discard") == "rewrite"


@pytest.mark.parametrize("later", ["allow", "forbid"])
async def test_the_first_decision_on_a_key_is_made_first(
    redis: Redis, client: AsyncRedis, producer: AsyncProducer, later: Kind
) -> None:
    """Also when it is a rewrite, which takes a call of its own: a harmless message under the same key may follow."""
    register(redis)
    rewrite = effects.decide("support", "k", "rewrite", fields={"room_id": "-", "text": "masked"}, reason="")
    second = effects.decide("support", "k", later, fields=None, reason="")
    await producer.decide("support", "another", "allow")  # so that the server has the script
    assert not await effects.apply(client, producer, {"one": [rewrite], "other": [second]})
    assert await producer.decide("support", "k", "discard") == "rewrite"


async def test_what_the_callback_decided_is_kept_for_the_retention(
    redis: Redis, client: AsyncRedis, producer: AsyncProducer
) -> None:
    """It decides on each message that it judges, whether somebody holds for it or not; others decide for a hold."""
    register(redis, retention_ms=3_600_000)
    rewrite = effects.decide("support", "w", "rewrite", fields={"room_id": "-", "text": "new"}, reason="")
    await effects.apply(
        client, producer, {"a": [rewrite, effects.decide("support", "k", "allow", fields=None, reason="")]}
    )
    await producer.decide("support", "of a person", "allow")
    kept_ms = {key: redis.pttl(f"{channel_prefix('support')}decision:{key}") for key in ("w", "k", "of a person")}
    assert 3_500_000 < kept_ms["w"] <= 3_600_000
    assert 3_500_000 < kept_ms["k"] <= 3_600_000
    assert kept_ms["of a person"] > MAX_HOLD_DAYS * 86_400_000


@pytest.mark.parametrize(
    ("kind", "text"), [("cinnox", "x" * 5001), ("cinnox", ""), ("third_party", "***")], ids=["long", "empty", "kind"]
)
async def test_a_rewrite_that_does_not_fit_forbids(
    redis: Redis, client: AsyncRedis, producer: AsyncProducer, kind: str, text: str
) -> None:
    """The text that was found fault with must not go out when its hold ends by itself."""
    register(redis, kind=kind)
    own = RoomMessage("r", "casino") if kind == "cinnox" else ThirdPartyMessage("u", {"text": "casino"})
    held = await producer.send("support", own, hold=Hold("k", 60, on_timeout="release"))
    rewrite = effects.decide("support", "k", "rewrite", fields={"room_id": "-", "text": text}, reason="")
    with capture_logs() as logs:
        assert await effects.apply(client, producer, {"a": [rewrite]}) == {}
    status = await producer.status("support", held.message_id)
    assert status is not None
    assert (status.state, status.reason) == ("dead", "forbidden")
    assert (status.detail or "").startswith("the rewrite does not fit the channel")
    assert [one["event"] for one in logs] == ["effect.forbids"]
    assert "xxx" not in f"{logs} {status.detail}"


async def test_what_is_not_acknowledged_is_not_done_twice(
    redis: Redis, client: AsyncRedis, producer: AsyncProducer
) -> None:
    """Effects are idempotent: a process may die between doing and acknowledging."""
    register(redis)
    todo = {"a": [relay(1), effects.decide("support", "k", "allow", fields=None, reason="")], "b": [relay(2)]}
    for _ in range(3):
        assert await effects.apply(client, producer, todo) == {}
    assert queued(redis) == ["text 1", "text 2"]


@pytest.mark.parametrize("key", ["moderation/key0001", "§moderation/key0001"])
async def test_no_client_can_send_a_relay_first(
    redis: Redis, client: AsyncRedis, producer: AsyncProducer, key: str
) -> None:
    """Its key stands in records and logs, but only we can use it."""
    register(redis)
    with contextlib.suppress(InvalidMessage):
        await producer.send("support", RoomMessage("another room", "first"), idempotency_key=key)
    await effects.apply(client, producer, {"a": [relay(1)]})
    assert queued(redis) == ["text 1"]


async def test_a_relay_of_the_version_before_is_done_once(
    redis: Redis, client: AsyncRedis, producer: AsyncProducer
) -> None:
    """It keeps its key and its lane: that version may have done it, and what waits there goes first."""
    register(redis)
    before = {
        "do": "relay",
        "channel": "support",
        "message": {"room_id": "r", "text": "text 0", "idempotency_key": "moderation/key0000"},
    }
    await producer.send("support", RoomMessage("r", "text 0"), idempotency_key="moderation/key0000")
    assert await effects.apply(client, producer, {"a": [before], "b": [relay(1)]}) == {}
    assert queued(redis) == ["text 0", "text 1"]
    assert effects.lane_of(before) == effects.lane_of(relay(1)) == "relay/support"


@pytest.mark.parametrize(
    "broken",
    [
        relay(1, text=""),
        relay(1, room="a\nb"),
        relay(1, text="x" * 100_000),
        relay(1, channel="no channel!"),
        {**relay(1), "message": None},
        {"do": "relay"},
        {"do": "relay", "channel": 7, "message": {}},
        effects.decide("support", "", "allow", fields=None, reason=""),
        effects.decide("support", "a\nb", "allow", fields=None, reason=""),
        effects.decide("support", "k", "perhaps", fields=None, reason=""),
        effects.decide("support", "k", "rewrite", fields=None, reason=""),
        {"do": "decide", "channel": "support", "message": None},
        {**effects.decide("support", "k", "forbid", fields=None, reason=""), "reason": 7},
        "nonsense",
        None,
        7,
    ],
)
async def test_what_can_never_be_done_is_given_up_with_a_log(
    redis: Redis,
    client: AsyncRedis,
    producer: AsyncProducer,
    broken: Any,  # noqa: ANN401 # anything may be stored
) -> None:
    """Once, without what the message said; what stands beside it is done, in and out of its decision."""
    register(redis)
    todo = {"a": [relay(2)], "b": [broken, relay(3)], "c": [relay(4)]}
    with capture_logs() as logs:
        assert await effects.apply(client, producer, todo) == {}
    assert queued(redis) == ["text 2", "text 3", "text 4"]
    assert [(one["event"], one["decision"]) for one in logs] == [("effect.given_up", "b")]
    assert "xxx" not in str(logs)
    with capture_logs() as logs:
        assert await effects.apply(client, producer, {"b": [broken]}) == {}
    assert [one["event"] for one in logs] == ["effect.given_up"]


async def test_what_a_newer_version_wrote_waits_for_it(
    redis: Redis, client: AsyncRedis, producer: AsyncProducer
) -> None:
    """An older worker neither does it nor forgets it, and goes on."""
    register(redis)
    todo = {"a": [{"do": "translate", "channel": "support", "message": None}], "b": [relay(1)]}
    assert await effects.apply(client, producer, todo) == {"a": todo["a"]}


@pytest.mark.parametrize("name", ["support", "support{}"], ids=["one channel", "many channels"])
async def test_a_redis_that_is_away_is_asked_once(unused_tcp_port: int, name: str) -> None:
    """A hundred decisions do not each wait for it."""
    url = f"redis://127.0.0.1:{unused_tcp_port}/0"
    todo = {str(number): [relay(number, name.format(number))] for number in range(99)}
    async with AsyncProducer(url) as producer, AsyncRedis.from_url(url) as client:
        with capture_logs() as logs, pytest.raises((QueueUnavailable, ConnectionError)):
            await effects.apply(client, producer, todo, in_lane=True)
    assert logs == []


async def test_closing_finishes_what_is_on_its_way(redis: Redis, open_feed: Open) -> None:
    """Effects that wait are done; what hangs is left to the sweep."""
    register(redis)
    async with open_feed() as feed:
        await asyncio.gather(*(feed.record(decision(n, ALLOW, relay(n))) for n in range(300)))
    assert (len(queued(redis)), unfed(redis)) == (300, [])


async def test_more_effects_than_a_process_may_keep_are_done_in_their_order(
    redis: Redis, open_feed: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its memory is bounded; it reads from Redis what it could not keep, and goes on with what came meanwhile."""
    register(redis)
    monkeypatch.setattr(feed_module, "MAX_WAITING", 10)
    async with open_feed(start=False) as feed:
        for number in range(0, 60, 2):
            await feed.record(decision(number, ALLOW, relay(number)))
        feed.start()
        await soon(lambda: not unfed(redis), "what it kept, and what it did not")
        await feed.record(decision(1, ALLOW, relay(1)))
    assert queued(redis) == [f"text {number}" for number in [*range(0, 60, 2), 1]]
