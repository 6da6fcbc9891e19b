"""Decisions are recorded once for each key, on a real server."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs
from support.channels import register
from support.feed import ALLOW, FORBID, RETENTION_S, Open, decision, queued, relay, stream, unfed, verdicts

from pushlane.callback.decisions import recorder
from pushlane.callback.decisions.recorder import Recorder
from pushlane.callback.verdict import Verdict
from pushlane.keys import DECISIONS_PREFIX
from pushlane.scripts import source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

pytestmark = pytest.mark.usefixtures("patient")


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
    script(keys=[DECISIONS_PREFIX], args=["", 30_000, "new", "", b"{}", "", "allow", b"{}", "", 0])
    left = stream(redis)
    assert (left.count("young"), left[-1]) == (300, "new")
    assert left.count("old") < 100
