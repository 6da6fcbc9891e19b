"""Decisions are kept on disk while Redis takes nothing."""

from __future__ import annotations

import asyncio
import errno
import time
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from structlog.testing import capture_logs
from support.channels import register
from support.feed import ALLOW, FORBID, Open, decision, queued, relay, soon, stream, unfed, verdicts

from pushlane.callback.decisions import feed as feed_module
from pushlane.callback.decisions.spool import SpoolFull

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushlane_worker.embedded import EmbeddedServer


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


@pytest.mark.parametrize(("problem", "event"), [(ConnectionError("gone"), "waits"), (TypeError("ours"), "broken")])
async def test_a_trouble_is_logged_when_it_begins_and_when_it_is_over(
    redis: Redis, open_feed: Open, monkeypatch: pytest.MonkeyPatch, problem: Exception, event: str
) -> None:
    """Not at each of the tries, two a second for as long as Redis is away; nor are decisions lost more than once."""
    monkeypatch.setattr(feed_module, "REFEED_EACH_S", 0.01)
    async with open_feed(start=False) as feed:
        inner, tries = feed._recorder.record_all, 0

        async def fails_at_first(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 # as the original
            nonlocal tries
            tries += 1
            if tries <= 5:
                raise problem
            return await inner(*arguments, **options)

        monkeypatch.setattr(feed._recorder, "record_all", fails_at_first)
        await feed._spool.append(decision(1).document())
        await feed._spool.append(b"nonsense")
        with capture_logs() as logs:
            feed.start()
            await soon(lambda: logs[-1:] and logs[-1]["event"] == "spool.refeed_resumed", "the spool to be fed")
        assert feed.lost == 1
    assert [one["event"] for one in logs] == [f"spool.refeed_{event}", "decision.unreadable", "spool.refeed_resumed"]
    assert stream(redis) == ["key0001"]


async def test_a_file_that_can_not_be_adopted_is_logged_once(open_feed: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """And when there is none any more."""
    monkeypatch.setattr(feed_module, "REFEED_EACH_S", 0.01)
    async with open_feed(start=False) as feed:
        tries = 0

        async def fails_at_first() -> None:
            nonlocal tries
            tries += 1
            if tries <= 5:
                raise PermissionError(errno.EACCES, "no")

        monkeypatch.setattr(feed._spool, "adopt", fails_at_first)
        with capture_logs() as logs:
            feed.start()
            await soon(lambda: tries > 6, "seven tries")
    assert [one["event"] for one in logs] == ["spool.adopt_waits", "spool.adopt_resumed"]


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
