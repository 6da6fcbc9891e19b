"""Decisions on a real server: recorded once a key, their effects done once, and kept on disk while it takes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from structlog.testing import capture_logs
from support.channels import register
from support.waiting import wait_until_async

from pushlane import Hold, RoomMessage, ThirdPartyMessage, effects, retry_effects
from pushlane.async_producer import AsyncProducer
from pushlane.callback import feed as feed_module
from pushlane.callback import recorder
from pushlane.callback.decision import Decision
from pushlane.callback.feed import Feed
from pushlane.callback.recorder import Recorder
from pushlane.callback.spool import Spool, SpoolFull
from pushlane.callback.verdict import Verdict
from pushlane.errors import InvalidMessage, QueueUnavailable
from pushlane.hold import MAX_HOLD_DAYS
from pushlane.keys import DECISIONS_PREFIX, POSTPONED, UNFED, channel_prefix
from pushlane.scripts import source
from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from pushlane.callback.verdict import Kind
    from pushlane.effects import Effect

    Open = Callable[..., AbstractAsyncContextManager[Feed]]

RETENTION_S = 60.0
ALLOW, FORBID = Verdict("allow", policy="chain"), Verdict("forbid", policy="words", reason="why")


def decision(
    number: int, verdict: Verdict = ALLOW, *todo: Effect, message_key: str | None = None, key: str | None = None
) -> Decision:
    """A decision on the message of this number."""
    return Decision(
        key=key or f"key{number:04d}",
        message_key=f"message{number:04d}" if message_key is None else message_key,
        command="C2C.CallbackBeforeSendMsg",
        sdk_app_id="1",
        sender="alice",
        receiver="bob",
        message=f"{number}_{number}_1",
        verdict=verdict,
        at_ms=1_700_000_000_000,
        took_ms=3,
        effects=todo,
    )


def relay(number: int, channel: str = "support", room: str = "r", text: str | None = None) -> Effect:
    """Enqueues a text."""
    fields = {"room_id": room, "text": f"text {number}" if text is None else text}
    return effects.relay(channel, fields, f"moderation/key{number:04d}")


@pytest.fixture
def open_feed(redis_url: str, tmp_path: Path) -> Open:
    """Runs a feed on a server, by default the test's."""

    @contextlib.asynccontextmanager
    async def run(url: str = redis_url, *, start: bool = True, **spool: int) -> AsyncIterator[Feed]:
        feed = Feed(url, RETENTION_S, await Spool.open(tmp_path / "spool", **spool))
        if start:
            feed.start()
        try:
            yield feed
        finally:
            await feed.aclose()

    return run


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[AsyncRedis]:
    """The test's server, asynchronously."""
    async with AsyncRedis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def producer(redis_url: str) -> AsyncIterator[AsyncProducer]:
    """A producer there."""
    async with AsyncProducer(redis_url) as producer:
        yield producer


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    """One that a test may spoil."""
    with EmbeddedServer() as server:
        yield server


def stream(redis: Redis) -> list[str]:
    """The keys in the stream, oldest first."""
    found: Any = redis.xrange(f"{DECISIONS_PREFIX}stream")
    return [fields[b"key"].decode() for _, fields in found]


def verdicts(redis: Redis) -> dict[str, int]:
    """The counters."""
    found: Any = redis.hgetall(f"{DECISIONS_PREFIX}verdicts")
    return {name.decode(): int(count) for name, count in found.items()}


def unfed(redis: Redis) -> list[str]:
    """The decisions that nobody has tried."""
    found: Any = redis.zrange(UNFED, 0, -1)
    return [key.decode() for key in found]


def postponed(redis: Redis, lane: str = "relay/later") -> list[str]:
    """The decisions that wait in a lane."""
    found: Any = redis.zrange(f"{DECISIONS_PREFIX}lane:{lane}", 0, -1)
    return [key.decode() for key in found]


def queued(redis: Redis, room: str = "r", channel: str = "support") -> list[str]:
    """The texts that wait in a room, in their order."""
    ids: Any = redis.lrange(f"{channel_prefix(channel)}conversation:{room}", 0, -1)
    records: list[Any] = [redis.get(f"{channel_prefix(channel)}message:{one.decode()}") for one in ids]
    return [record[record.rindex(b'"text') :].decode().strip('"') for record in records]


async def soon(predicate: Callable[[], object], what_for: str) -> None:
    """Waits for what another task does."""

    async def look() -> object:
        return predicate()

    await wait_until_async(look, what_for)


# Recording


async def test_a_decision_is_in_the_stream_without_what_was_said(redis: Redis, open_feed: Open) -> None:
    """With who, when, why and which message, and its answer under its key; both for the retention."""
    async with open_feed() as feed:
        assert await feed.record(decision(1, FORBID)) == FORBID
    entries: Any = redis.xrange(f"{DECISIONS_PREFIX}stream")
    [(_, fields)] = entries
    assert json.loads(fields[b"decision"]) == {
        "key": "key0001",
        "verdict": "forbid",
        "policy": "words",
        "reason": "why",
        "code": None,
        "at": 1_700_000_000_000,
        "took_ms": 3,
        "late": False,
        "command": "C2C.CallbackBeforeSendMsg",
        "sdk_app_id": "1",
        "from": "alice",
        "to": "bob",
        "message": "1_1_1",
    }
    for key in ("by-key:key0001", "by-message:message0001"):
        assert RETENTION_S * 900 < redis.pttl(DECISIONS_PREFIX + key) <= RETENTION_S * 1000
    assert verdicts(redis) == {"forbid": 1}


async def test_many_at_once_share_few_calls(redis: Redis, open_feed: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets its own answer, an earlier one if it has one."""
    calls: list[int] = []
    inner = Recorder._record

    async def counted(self: Recorder, decisions: Sequence[Any], within_s: float) -> list[Verdict | None]:
        calls.append(len(decisions))
        return await inner(self, decisions, within_s)

    monkeypatch.setattr(Recorder, "_record", counted)
    async with open_feed() as feed:
        for number in range(0, 250, 5):
            await feed.record(decision(number, FORBID))
        calls.clear()
        given = await asyncio.gather(*(feed.record(decision(number)) for number in range(250)))
    assert [verdict.kind for verdict in given] == ["forbid" if n % 5 == 0 else "allow" for n in range(250)]
    assert sorted(stream(redis)) == [f"key{n:04d}" for n in range(250)]
    assert max(calls) == recorder.AT_ONCE
    assert len(calls) <= 4


@pytest.mark.parametrize(
    "first",
    [
        FORBID,
        Verdict("forbid", 120_001, "no\n\N{SNOWMAN}"),
        Verdict("discard", reason="x"),
        Verdict("rewrite", msg_body=[{"MsgType": "T", "MsgContent": {"Text": "\N{SNOWMAN}"}}], custom_data=""),
    ],
)
async def test_a_repeat_gets_the_first_answer(redis: Redis, open_feed: Open, first: Verdict) -> None:
    """Whole, from another process too; nothing is recorded or done for it."""
    register(redis)
    async with open_feed() as feed:
        await feed.record(decision(1, first))
    async with open_feed() as feed:
        assert await feed.record(decision(1, ALLOW, relay(1))) == first
    assert stream(redis) == ["key0001"]
    assert verdicts(redis) == {first.kind: 1}
    assert (queued(redis), unfed(redis)) == ([], [])


async def test_another_content_under_the_same_key_is_another_decision(redis: Redis, open_feed: Open) -> None:
    """Senders choose MsgKey: it is judged anew, and counted each time."""
    async with open_feed() as feed:
        assert await feed.record(decision(1)) == ALLOW
        assert await feed.record(decision(2, FORBID, message_key="message0001")) == FORBID
        assert await feed.record(decision(2, ALLOW, message_key="message0001")) == FORBID
        assert await feed.record(decision(3, FORBID, message_key="message0001")) == FORBID
    assert verdicts(redis) == {"allow": 1, "forbid": 2, "same_key_other_content": 2}


async def test_decisions_of_one_call_are_counted_each(redis: Redis, open_feed: Open) -> None:
    """What comes at once goes in one call, which counts once a verdict."""
    async with open_feed() as feed:
        asked = [decision(number, FORBID if number % 3 else ALLOW) for number in range(9)]
        await asyncio.gather(*(feed.record(one) for one in asked))
    assert verdicts(redis) == {"allow": 3, "forbid": 6}
    assert len(stream(redis)) == 9


async def test_a_late_verdict_changes_no_answer(redis: Redis, open_feed: Open) -> None:
    """It stands in the stream beside the first, marked, does nothing and is counted as late alone."""
    async with open_feed() as feed:
        await feed.record(decision(1, ALLOW, relay(1, "nowhere")))
        for _ in range(2):
            await feed.record(decision(1, FORBID, relay(1)).as_late())
        await feed.record(decision(2, FORBID).as_late())
        assert await feed.record(decision(1)) == ALLOW
    assert stream(redis) == ["key0001", "key0001:late", "key0002:late"]
    entries: Any = redis.xrange(f"{DECISIONS_PREFIX}stream")
    assert [json.loads(fields[b"decision"])["late"] for _, fields in entries] == [False, True, True]
    assert verdicts(redis) == {"allow": 1, "late": 2}


async def test_one_that_can_not_be_written_down_spoils_no_batch(redis: Redis, open_feed: Open) -> None:
    """It is answered as it was judged, and counted as lost; the ones beside it are recorded."""
    broken = decision(2, Verdict("forbid", reason=object()))  # type: ignore[arg-type] # such a policy there may be
    async with open_feed() as feed:
        with capture_logs() as logs:
            given = await asyncio.gather(*map(feed.record, [decision(1), broken, decision(3)]))
        assert feed.lost == 1
    assert [one.kind for one in given] == ["allow", "forbid", "allow"]
    assert stream(redis) == ["key0001", "key0003"]
    assert [one["event"] for one in logs] == ["decision.broken", "decision.lost"]


async def test_an_answer_that_is_unreadable_stops_nobody(redis: Redis, open_feed: Open) -> None:
    """Another version may have written it: then what is decided now is the answer."""
    for number, answer in enumerate([b"{", b'{"kind": "forbid", "new": 1}', b"[]", b"7"]):
        redis.set(f"{DECISIONS_PREFIX}by-key:key{number:04d}", answer, ex=60)
    async with open_feed() as feed:
        given = await asyncio.gather(*(feed.record(decision(number)) for number in range(5)))
    assert given == [ALLOW] * 5
    assert stream(redis) == ["key0004"]


async def test_the_stream_is_trimmed_by_age(redis: Redis) -> None:
    """What is older than the retention goes, in steps as large as the server's nodes."""
    clock: Any = redis.time()
    now = clock[0] * 1000
    pipeline = redis.pipeline(transaction=False)
    for number in range(500):
        pipeline.xadd(f"{DECISIONS_PREFIX}stream", {"key": "old"}, id=f"{now - 60_000}-{number}")
    for number in range(300):
        pipeline.xadd(f"{DECISIONS_PREFIX}stream", {"key": "young"}, id=f"{now - 20_000}-{number}")
    pipeline.execute()
    script = redis.register_script(source("record_decisions"))
    script(keys=[DECISIONS_PREFIX], args=["", 30_000, "new", "", b"{}", "", "allow", b"{}"])
    left = stream(redis)
    assert (left.count("young"), left[-1]) == (300, "new")
    assert left.count("old") < 100


# Effects


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


async def test_an_unknown_channel_waits_and_blocks_no_other(
    redis: Redis, client: AsyncRedis, producer: AsyncProducer, open_feed: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much waits for it: one try each few seconds, one line; once it is registered all is done, in order."""
    register(redis)
    monkeypatch.setattr(retry_effects, "REFEED_AFTER_MS", -1)
    async with open_feed() as feed:
        for number in range(0, 160, 2):
            await feed.record(decision(number, ALLOW, relay(number, "later")))
            await feed.record(
                decision(
                    number + 1, ALLOW, relay(number + 1), effects.decide("later", "k", "allow", fields=None, reason="")
                )
            )
        await soon(lambda: len(postponed(redis, "decide/later")) == 80, "all to be tried")
        assert len(queued(redis)) == 80
    assert queued(redis) == [f"text {number}" for number in range(1, 160, 2)]
    assert (unfed(redis), len(postponed(redis))) == ([], 80)
    assert await retry_effects.refeed(client, producer, RETENTION_S) == 0, "its time has not come"
    monkeypatch.setattr(retry_effects, "POSTPONED_MS", -1)
    redis.zadd(POSTPONED, {"relay/later": 1, "decide/later": 1}, xx=True)
    with capture_logs() as logs:
        for _ in range(3):
            assert await retry_effects.refeed(client, producer, RETENTION_S) == 0, "nobody need look again at once"
    assert [one["event"] for one in logs] == ["effect.postponed"] * 6, "one line a lane and try"
    register(redis, "later")
    while await retry_effects.refeed(client, producer, RETENTION_S):
        pass
    assert list(redis.scan_iter(f"{DECISIONS_PREFIX}effects:*")) == []
    assert redis.exists(POSTPONED, f"{DECISIONS_PREFIX}lane:relay/later") == 0
    assert queued(redis, channel="later") == [f"text {number}" for number in range(0, 160, 2)]
    assert len(queued(redis)) == 80
    assert await producer.decide("later", "k", "forbid") == "allow"


async def test_what_has_to_wait_stands_in_nobodys_way(
    redis: Redis, client: AsyncRedis, producer: AsyncProducer
) -> None:
    """More decisions of an unknown channel than a sweep takes do not keep the one behind them from its turn."""
    register(redis)
    for number in range(retry_effects.AT_ONCE + 1):
        waits = number < retry_effects.AT_ONCE
        redis.set(f"{DECISIONS_PREFIX}effects:{number}", json.dumps([relay(number, "later" if waits else "support")]))
        redis.zadd(UNFED, {str(number): number + 1e12})
    assert await retry_effects.refeed(client, producer, 1e9) == retry_effects.AT_ONCE
    assert await retry_effects.refeed(client, producer, 1e9) == 1
    assert queued(redis) == [f"text {retry_effects.AT_ONCE}"]
    assert await retry_effects.refeed(client, producer, 1e9) == 0, "the others have their rest"


async def test_what_is_done_of_a_decision_is_not_done_again(
    redis: Redis, client: AsyncRedis, producer: AsyncProducer, open_feed: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its message is a new one once the idempotency window is over, so it must not go out as long as the rest waits."""
    register(redis)
    waits = effects.decide("later", "k", "allow", fields=None, reason="")
    monkeypatch.setattr(retry_effects, "REFEED_AFTER_MS", -1)
    monkeypatch.setattr(retry_effects, "POSTPONED_MS", -1)
    redis.set(f"{DECISIONS_PREFIX}effects:left", json.dumps([relay(1), waits]))
    redis.zadd(UNFED, {"left": time.time() * 1000})
    async with open_feed() as feed:
        await feed.record(decision(2, ALLOW, relay(2), waits))
        await soon(lambda: "text 2" in queued(redis), "what can be done")
    await retry_effects.refeed(client, producer, RETENTION_S)
    assert sorted(queued(redis)) == ["text 1", "text 2"]
    for key in redis.scan_iter(f"{channel_prefix('support')}*"):
        redis.delete(key)  # delivered, and a day has passed
    register(redis)
    for _ in range(3):
        await retry_effects.refeed(client, producer, RETENTION_S)
    assert queued(redis) == []
    register(redis, "later")
    await retry_effects.refeed(client, producer, RETENTION_S)
    assert await producer.decide("later", "k", "forbid") == "allow"


async def test_decisions_wait_in_the_order_of_their_recording(
    redis: Redis, client: AsyncRedis, producer: AsyncProducer
) -> None:
    """Whatever their keys are: many of one call, in one ms, and after the clock stepped back."""
    register(redis)
    record: Any = redis.register_script(source("record_decisions"))
    keys = [f"{number * 37 % 48:02}" for number in range(48)]
    clock: Any = redis.time()
    now = clock[0] * 1000 - 60_000
    for first, at in ((0, now), (12, now), (24, now - 5000), (36, now + 1)):
        groups = [[key, "", b"{}", json.dumps([relay(int(key))]), "allow", b"{}"] for key in keys[first : first + 12]]
        record(keys=[DECISIONS_PREFIX], args=[at, 60_000, *(argument for group in groups for argument in group)])
    assert unfed(redis) == keys
    while await retry_effects.refeed(client, producer, RETENTION_S):
        pass
    assert queued(redis) == [f"text {int(key)}" for key in keys]


async def test_a_clock_that_stepped_back_delays_no_effects(
    redis: Redis, client: AsyncRedis, producer: AsyncProducer
) -> None:
    """Neither recorded ones nor a lane waits for the time at which it was recorded."""
    register(redis)
    later = time.time() * 1000 + 3_600_000
    redis.set(f"{DECISIONS_PREFIX}effects:a", json.dumps([relay(1)]))
    redis.zadd(UNFED, {"a": later})
    redis.set(f"{DECISIONS_PREFIX}effects:b@relay/support", json.dumps([relay(2)]))
    redis.zadd(f"{DECISIONS_PREFIX}lane:relay/support", {"b": later - 1})
    redis.zadd(POSTPONED, {"relay/support": later})
    while await retry_effects.refeed(client, producer, RETENTION_S):
        pass
    assert queued(redis) == ["text 2", "text 1"]


async def test_a_full_channel_keeps_the_order_whoever_comes_when_it_has_room(
    redis: Redis, client: AsyncRedis, producer: AsyncProducer, open_feed: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes goes behind what waits, also from another process; when nothing waits it is done at once."""
    register(redis, max_queued=2)
    async with open_feed() as feed, open_feed() as other:
        for number in range(5):
            await feed.record(decision(number, ALLOW, relay(number)))
        await soon(lambda: len(postponed(redis, "relay/support")) == 3, "the channel to be full")
        register(redis, max_queued=100)
        await other.record(decision(5, ALLOW, relay(5)))
        await soon(lambda: len(postponed(redis, "relay/support")) == 4, "the one of the other process")
        await feed.record(decision(6, ALLOW, relay(6)))
        await soon(lambda: not unfed(redis), "the one behind")
        assert queued(redis) == ["text 0", "text 1"]
        monkeypatch.setattr(retry_effects, "REFEED_AFTER_MS", -1)
        redis.zadd(POSTPONED, {"relay/support": 1})
        assert await retry_effects.refeed(client, producer, RETENTION_S) == 5
        for number in range(7, 9):
            await feed.record(decision(number, ALLOW, relay(number)))
            await soon(lambda: not unfed(redis), "it to be done")
    assert queued(redis) == [f"text {number}" for number in range(9)]


async def test_a_full_channel_still_takes_decisions(redis: Redis, client: AsyncRedis, producer: AsyncProducer) -> None:
    """Else one that is full of held messages would stay so."""
    register(redis, max_queued=1)
    await producer.send("support", RoomMessage("r", "held"), hold=Hold("k", 60))
    for number in range(2):
        redis.set(f"{DECISIONS_PREFIX}effects:{number}", json.dumps([relay(number)]))
        redis.zadd(UNFED, {str(number): number + 1})
    await retry_effects.refeed(client, producer, 1e9)
    allow = effects.decide("support", "k", "allow", fields=None, reason="")
    assert await effects.apply(client, producer, {"a": [relay(7), allow]}) == {"a": [relay(7)]}


async def test_after_a_batch_that_failed_nothing_overtakes_it(
    redis: Redis, open_feed: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next ones wait until it is done; nobody else need do it."""
    register(redis)
    inner, failing = effects.apply, [True]

    async def fails(*args: Any, **options: Any) -> Any:  # noqa: ANN401 # as the original
        if failing.pop() if failing else False:
            raise ConnectionError("reset")
        return await inner(*args, **options)

    monkeypatch.setattr(effects, "apply", fails)
    async with open_feed() as feed:
        await feed.record(decision(9, ALLOW, relay(9)))
        await soon(lambda: not failing, "the first one to fail")
        assert queued(redis) == []
        for number in range(3):
            await feed.record(decision(number, ALLOW, relay(number)))
        await soon(lambda: not unfed(redis), "them to be done")
    assert queued(redis) == ["text 9", "text 0", "text 1", "text 2"]


async def test_what_was_recorded_and_is_spooled_all_the_same_is_not_overtaken(
    redis: Redis, open_feed: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of its call came too late, so its effects are in nobody's memory."""
    register(redis)
    monkeypatch.setattr(feed_module, "REFEED_EACH_S", 0.05)
    async with open_feed(start=False) as feed:
        await feed.record(decision(2, ALLOW, relay(2)))
        feed._waiting.get_nowait()
        await feed._spool.append(decision(2, ALLOW, relay(2)).document())
        feed.start()
        await soon(lambda: feed._spool.empty, "the spool to be fed")
        await feed.record(decision(1, ALLOW, relay(1)))
        await soon(lambda: not unfed(redis), "them to be done")
        feed._waiting.task_done()
    assert queued(redis) == ["text 2", "text 1"]


async def test_a_decision_whose_reply_was_lost_is_not_overtaken(
    redis: Redis, open_feed: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call is repeated, and then the decision seems to be an earlier one's."""
    register(redis)
    async with open_feed() as feed:
        await feed.record(decision(0, ALLOW, relay(0)))
        script = feed._recorder._script

        async def lost(**arguments: Any) -> Any:  # noqa: ANN401 # a reply
            await script(**arguments)
            return await script(**arguments)

        with monkeypatch.context() as patch:
            patch.setattr(feed._recorder, "_script", lost)
            assert await feed.record(decision(1, ALLOW, relay(1))) == ALLOW
        await feed.record(decision(2, ALLOW, relay(2)))
        await soon(lambda: not unfed(redis), "all to be done")
    assert queued(redis) == ["text 0", "text 1", "text 2"]


async def test_what_waits_too_long_is_given_up(
    redis: Redis, client: AsyncRedis, producer: AsyncProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As old as decisions are kept, with a line each; what is younger waits on, and what nobody has tried is tried."""
    monkeypatch.setattr(retry_effects, "POSTPONED_MS", -1)
    ages_s = [RETENTION_S * 3, RETENTION_S + 5, RETENTION_S - 5]
    for number, age_s in enumerate(ages_s):
        redis.set(f"{DECISIONS_PREFIX}effects:{number}@relay/later", json.dumps([relay(number, "later")]))
        redis.zadd(f"{DECISIONS_PREFIX}lane:relay/later", {str(number): (time.time() - age_s) * 1000})
    redis.zadd(POSTPONED, {"relay/later": 1})
    redis.set(f"{DECISIONS_PREFIX}effects:new", json.dumps([relay(7)]))
    redis.zadd(UNFED, {"new": 1})
    register(redis)
    with capture_logs() as logs:
        assert await retry_effects.refeed(client, producer, RETENTION_S) == 3
    given_up = [(one["decision"], one["problem"]) for one in logs if one["event"] == "effect.given_up"]
    assert given_up == [(str(number), "it waited too long: relay/later") for number in range(2)]
    assert (postponed(redis), queued(redis)) == (["2"], ["text 7"])
    assert list(redis.scan_iter(f"{DECISIONS_PREFIX}effects:*")) == [
        f"{DECISIONS_PREFIX}effects:2@relay/later".encode()
    ]


async def test_the_sweep_does_what_a_process_did_not(
    redis: Redis, client: AsyncRedis, producer: AsyncProducer, open_feed: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before its time, once, and also when several workers sweep at once."""
    register(redis)
    async with open_feed(start=False) as feed:
        monkeypatch.setattr(feed_module, "CLOSE_S", 0.01)
        for number in range(60):
            await feed.record(decision(number, ALLOW, relay(number)))
    assert (len(unfed(redis)), queued(redis)) == (60, [])
    assert await retry_effects.refeed(client, producer, RETENTION_S) == 0, "the process still has time"
    monkeypatch.setattr(retry_effects, "REFEED_AFTER_MS", -1)
    while any(await asyncio.gather(*(retry_effects.refeed(client, producer, RETENTION_S) for _ in range(3)))):
        pass
    assert unfed(redis) == []
    assert sorted(queued(redis)) == sorted(f"text {number}" for number in range(60))


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


@pytest.mark.parametrize("stored", [b"{", b"\xff", b"null", b'{"do": 1}', b"[[]]"])
async def test_a_broken_document_does_not_stop_the_sweep(
    redis: Redis, client: AsyncRedis, producer: AsyncProducer, monkeypatch: pytest.MonkeyPatch, stored: bytes
) -> None:
    """It is given up, and the next one is done."""
    register(redis)
    monkeypatch.setattr(retry_effects, "REFEED_AFTER_MS", -1)
    for key, document in [("a", stored), ("b", json.dumps([relay(1)]).encode())]:
        redis.set(f"{DECISIONS_PREFIX}effects:{key}", document)
        redis.zadd(UNFED, {key: 1})
    await retry_effects.refeed(client, producer, RETENTION_S)
    assert (unfed(redis), queued(redis)) == ([], ["text 1"])


async def test_a_full_channel_keeps_the_order(redis: Redis, client: AsyncRedis, producer: AsyncProducer) -> None:
    """Behind one that finds no room, none slips in."""
    register(redis, max_queued=2)
    left = await effects.apply(client, producer, {str(number): [relay(number)] for number in range(5)})
    assert (list(left), queued(redis)) == (["2", "3", "4"], ["text 0", "text 1"])


@pytest.mark.parametrize("name", ["support", "support{}"], ids=["one channel", "many channels"])
async def test_a_redis_that_is_away_is_asked_once(unused_tcp_port: int, name: str) -> None:
    """A hundred decisions do not each wait for it."""
    url = f"redis://127.0.0.1:{unused_tcp_port}/0"
    todo = {str(number): [relay(number, name.format(number))] for number in range(99)}
    async with AsyncProducer(url) as producer, AsyncRedis.from_url(url) as client:
        with capture_logs() as logs, pytest.raises((QueueUnavailable, ConnectionError)):
            await effects.apply(client, producer, todo, in_lane=True)
    assert logs == []


# The disk


def refuse(server: EmbeddedServer, how: str) -> None:
    """Makes the server take no decision, though it answers."""
    with Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1")  # also for "read-only": a replica says so first
        if how == "read-only":
            client.replicaof("127.0.0.1", "1")


def accept(server: EmbeddedServer) -> None:
    """Makes it take them again."""
    with Redis.from_url(server.url) as client:
        client.replicaof("NO", "ONE")
        client.config_set("maxmemory", "0")


@pytest.mark.parametrize("how", ["out of memory", "read-only", "killed", "stopped"])
async def test_while_redis_takes_nothing_decisions_go_to_disk_and_come_back_in_order(
    own_server: EmbeddedServer, open_feed: Open, how: str
) -> None:
    """Answered in time; once it takes them again each is there once, later ones behind them."""
    ways: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
        "killed": (own_server.kill, own_server.start),
        "stopped": (own_server.pause, own_server.resume),
    }
    away, back = ways.get(how, (lambda: refuse(own_server, how), lambda: accept(own_server)))
    async with open_feed(own_server.url) as feed:
        await feed.record(decision(0))
        away()
        started = time.monotonic()
        given = await asyncio.gather(*(feed.record(decision(n, FORBID)) for n in range(1, 50)))
        for number in range(50, 150):
            given.append(await feed.record(decision(number, FORBID)))
        assert time.monotonic() - started < 3
        assert given == [FORBID] * 149
        assert not feed._spool.empty
        back()
        given.append(await feed.record(decision(150, FORBID)))
        await soon(lambda: feed._spool.empty, "the spool to be fed")
        await feed.record(decision(151))
        assert feed.lost == 0
    with Redis.from_url(own_server.url) as redis:
        found = stream(redis)
    first = [] if how == "killed" else ["key0000"]
    assert sorted(found) == first + [f"key{n:04d}" for n in range(1, 152)]
    assert found[-102:] == [f"key{n:04d}" for n in range(50, 152)]


async def test_while_something_is_on_disk_new_decisions_go_behind_it(
    redis: Redis, open_feed: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis is there: the stream has the order in which they were made."""
    monkeypatch.setattr(feed_module, "REFEED_EACH_S", 0.05)
    async with open_feed(start=False) as feed:
        await feed._spool.append(decision(1).document())
        await feed.record(decision(2))
        assert stream(redis) == []
        feed.start()
        await soon(lambda: feed._spool.empty, "the spool to be fed")
        await feed.record(decision(3))
    assert stream(redis) == ["key0001", "key0002", "key0003"]


async def test_what_a_dead_process_left_is_fed(redis: Redis, open_feed: Open) -> None:
    """With its effects."""
    register(redis)
    async with open_feed("redis://127.0.0.1:1/0", start=False) as feed:
        for number in range(3):
            await feed.record(decision(number, ALLOW, relay(number)))
    async with open_feed() as feed:
        await soon(lambda: feed._spool.empty and len(queued(redis)) == 3, "the spool to be fed")
    assert (stream(redis), unfed(redis)) == (["key0000", "key0001", "key0002"], [])
    assert queued(redis) == ["text 0", "text 1", "text 2"]


async def test_an_unreadable_payload_is_skipped_and_counted(redis: Redis, open_feed: Open) -> None:
    """Those around it are fed."""
    async with open_feed(start=False) as feed:
        nonsense = [b"", b"{", b"[]", b"7", b"{}", b'{"verdict": {"kind": "allow"}}', b'{"verdict": 1}', b"\xff"]
        for payload in [decision(1).document(), *nonsense, decision(2).document()]:
            await feed._spool.append(payload)
        feed.start()
        await soon(lambda: feed._spool.empty, "the spool to be fed")
        assert feed.lost == len(nonsense)
    assert stream(redis) == ["key0001", "key0002"]


async def test_a_spooled_decision_that_was_recorded_is_not_recorded_again(redis: Redis, open_feed: Open) -> None:
    """Redis may have taken what nobody heard of; the first verdict stands."""
    register(redis)
    async with open_feed(start=False) as feed:
        await feed.record(decision(1, FORBID))
        await feed._spool.append(decision(1, ALLOW, relay(1)).document())
        feed.start()
        await soon(lambda: feed._spool.empty, "the spool to be fed")
    assert (stream(redis), verdicts(redis), queued(redis)) == (["key0001"], {"forbid": 1}, [])


async def test_a_file_that_can_not_be_adopted_does_not_stop_the_others(
    redis: Redis, open_feed: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one with another owner: what can be read is fed."""
    monkeypatch.setattr(feed_module, "REFEED_EACH_S", 0.05)
    async with open_feed(start=False) as feed:

        async def fails() -> None:
            raise PermissionError(errno.EACCES, "no")

        monkeypatch.setattr(feed._spool, "adopt", fails)
        await feed._spool.append(decision(1).document())
        feed.start()
        await soon(lambda: feed._spool.empty, "the spool to be fed")
    assert stream(redis) == ["key0001"]


@pytest.mark.parametrize("problem", [SpoolFull("full"), OSError(errno.ENOSPC, "no space")])
async def test_what_neither_takes_is_answered_logged_and_counted(
    open_feed: Open, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    """The only way to lose a decision."""
    async with open_feed("redis://127.0.0.1:1/0", start=False) as feed:

        async def fails(_payload: bytes) -> None:
            raise problem

        monkeypatch.setattr(feed._spool, "append", fails)
        with capture_logs() as logs:
            assert await feed.record(decision(1, FORBID)) == FORBID
        assert feed.lost == 1
    assert [one["event"] for one in logs] == ["decision.redis_away", "decision.lost"]
    assert (logs[1]["key"], logs[1]["verdict"]) == ("key0001", "forbid")


async def test_a_disk_that_hangs_delays_no_answer(
    redis: Redis, open_feed: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer goes out when its time is over; the decision is kept when the disk is there again."""
    async with open_feed("redis://127.0.0.1:1/0", start=False) as feed:
        inner, free = feed._spool.append, asyncio.Event()

        async def hangs(payload: bytes) -> None:
            await free.wait()
            await inner(payload)

        monkeypatch.setattr(feed._spool, "append", hangs)
        started = time.monotonic()
        assert await feed.record(decision(1, FORBID), until=started + 0.2) == FORBID
        assert time.monotonic() - started < 1
        gone = asyncio.create_task(feed.record(decision(2)))
        await asyncio.sleep(0.05)
        gone.cancel()
        free.set()
        await soon(lambda: not feed._spooling, "the disk")
    async with open_feed() as feed:
        await soon(lambda: feed._spool.empty, "the spool to be fed")
    assert stream(redis) == ["key0001", "key0002"]


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
