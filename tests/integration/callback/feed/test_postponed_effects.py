"""Effects that have to wait, and those that a process left: they keep their order and are done later."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs
from support.channels import register
from support.feed import ALLOW, RETENTION_S, Open, decision, postponed, queued, relay, soon, unfed

from pushlane import Hold, RoomMessage
from pushlane.callback.decisions import feed as feed_module
from pushlane.keys import DECISIONS_PREFIX, POSTPONED, UNFED, channel_prefix
from pushlane.scripts import source
from pushlane.service import effects, retry_effects

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

    from pushlane.async_producer import AsyncProducer

pytestmark = pytest.mark.usefixtures("patient")


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
    assert await retry_effects.retry_lanes(client, producer, RETENTION_S) == 0, "its time has not come"
    monkeypatch.setattr(retry_effects, "POSTPONED_MS", -1)
    redis.zadd(POSTPONED, {"relay/later": 1, "decide/later": 1}, xx=True)
    with capture_logs() as logs:
        for _ in range(3):
            assert await retry_effects.retry_lanes(client, producer, RETENTION_S) == 0, "nobody need look again at once"
    assert [one["event"] for one in logs] == ["effect.postponed"] * 6, "one line a lane and try"
    register(redis, "later")
    while await retry_effects.retry_lanes(client, producer, RETENTION_S):
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
    assert await retry_effects.retry_lanes(client, producer, 1e9) == retry_effects.AT_ONCE
    assert await retry_effects.retry_lanes(client, producer, 1e9) == 1
    assert queued(redis) == [f"text {retry_effects.AT_ONCE}"]
    assert await retry_effects.retry_lanes(client, producer, 1e9) == 0, "the others have their rest"


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
    await retry_effects.retry_lanes(client, producer, RETENTION_S)
    assert sorted(queued(redis)) == ["text 1", "text 2"]
    for key in redis.scan_iter(f"{channel_prefix('support')}*"):
        redis.delete(key)  # delivered, and a day has passed
    register(redis)
    for _ in range(3):
        await retry_effects.retry_lanes(client, producer, RETENTION_S)
    assert queued(redis) == []
    register(redis, "later")
    await retry_effects.retry_lanes(client, producer, RETENTION_S)
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
        keyed = ((key, json.dumps([relay(int(key))])) for key in keys[first : first + 12])
        groups = [[key, "", b"{}", relays, "allow", b"{}", "", 0] for key, relays in keyed]
        record(keys=[DECISIONS_PREFIX], args=[at, 60_000, *(argument for group in groups for argument in group)])
    assert unfed(redis) == keys
    while await retry_effects.retry_lanes(client, producer, RETENTION_S):
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
    while await retry_effects.retry_lanes(client, producer, RETENTION_S):
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
        assert await retry_effects.retry_lanes(client, producer, RETENTION_S) == 5
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
    await retry_effects.retry_lanes(client, producer, 1e9)
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
        evalsha = feed._redis.evalsha

        async def lost(*words: Any) -> Any:  # noqa: ANN401 # a reply
            await evalsha(*words)
            return await evalsha(*words)

        with monkeypatch.context() as patch:
            patch.setattr(feed._redis, "evalsha", lost)
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
        assert await retry_effects.retry_lanes(client, producer, RETENTION_S) == 3
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
    assert await retry_effects.retry_lanes(client, producer, RETENTION_S) == 0, "the process still has time"
    monkeypatch.setattr(retry_effects, "REFEED_AFTER_MS", -1)
    while any(await asyncio.gather(*(retry_effects.retry_lanes(client, producer, RETENTION_S) for _ in range(3)))):
        pass
    assert unfed(redis) == []
    assert sorted(queued(redis)) == sorted(f"text {number}" for number in range(60))


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
    await retry_effects.retry_lanes(client, producer, RETENTION_S)
    assert (unfed(redis), queued(redis)) == ([], ["text 1"])


async def test_a_full_channel_keeps_the_order(redis: Redis, client: AsyncRedis, producer: AsyncProducer) -> None:
    """Behind one that finds no room, none slips in."""
    register(redis, max_queued=2)
    left = await effects.apply(client, producer, {str(number): [relay(number)] for number in range(5)})
    assert (list(left), queued(redis)) == (["2", "3", "4"], ["text 0", "text 1"])
