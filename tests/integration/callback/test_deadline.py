"""A policy that hangs makes no answer late, neither its own nor another; if it awaits something, its verdict comes."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.callback import C2C, Callback, c2c, callback, moderation, query
from support.feed import verdicts
from support.waiting import wait_until

from pushlane.keys import DECISIONS_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from redis import Redis

pytestmark = [pytest.mark.alone, pytest.mark.long]
AT_ONCE = 50
POLICIES_S = 1.15
"""What policies have of the default deadline; the rest is for the record."""
HANGS_S = 2.0
BESIDE = 20
POLICIES = f"""
import asyncio, re, time
from pushlane.callback import Verdict

class Plain:
    name = "hangs"
    def judge(self, message):
        time.sleep({HANGS_S})
        return Verdict.forbid(reason="late") if "casino" in message.text else Verdict.allow(reason="late")

class Async(Plain):
    async def judge(self, message):
        await asyncio.sleep({HANGS_S})
        return Verdict.forbid(reason="late") if "casino" in message.text else None

class Burns:
    name = "burns"
    def judge(self, message):
        if re.match(r"(a+)+$", message.text): pass
        return Verdict.forbid() if "casino" in message.text else None

class Sleeps(Burns):
    async def judge(self, message):
        if message.text.startswith("a"): time.sleep(9)
        return super().judge(message)

class SleepsLater(Burns):
    async def judge(self, message):
        await asyncio.sleep(0.1)
        if message.text.startswith("a"): time.sleep(9)
        return super().judge(message)

def route(message): time.sleep(9)
"""
BURNS = "a" * 34 + "b"
"""The regular expression takes minutes for it."""


async def ask_at_once(url: str, texts: Sequence[str]) -> list[tuple[int, float]]:
    """The codes of the answers, and how long each took; over bare connections, as httpx takes 0.6 s for 50 requests."""
    host, _, port = url.removeprefix("http://").partition(":")
    streams = [await asyncio.open_connection(host, int(port)) for _ in texts]
    signed = query()

    async def ask(number: int) -> tuple[int, float]:
        reader, writer = streams[number]
        body = json.dumps(c2c(number, texts[number]))
        head = f"POST /tencent/callback?{signed} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
        started = time.monotonic()
        writer.write((head + body).encode())
        answer = await reader.readuntil(b"}")
        took = time.monotonic() - started
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()
        return json.loads(answer.partition(b"\r\n\r\n")[2])["ErrorCode"], took

    return await asyncio.gather(*map(ask, range(len(texts))))


async def ask_at_deadline(running: Callback, beside: Callback, texts: Sequence[str]) -> list[int]:
    """The codes, each of an answer in time: 0.45 s after the policies' deadline on an idle machine.

    On a busy one, later by no more than twice what as many answers take ``beside`` at that time, where nothing hangs.
    """
    asked = asyncio.create_task(ask_at_once(running.url, texts))
    await asyncio.wait([asked], timeout=POLICIES_S)
    quick = await ask_at_once(beside.url, ["hello"] * len(texts))
    answers = await asked
    assert max(took for _, took in answers) < POLICIES_S + 0.45 + 2 * max(took for _, took in quick)
    return [code for code, _ in answers]


@pytest.fixture
def beside(redis_url: str, tmp_path: Path) -> Iterator[Callback]:
    """A callback whose policy is quick, and whose records are in another database."""
    folder = tmp_path / "beside"
    folder.mkdir()
    with callback(folder, f"{redis_url.removesuffix('/0')}/1", moderation(folder)) as running:
        yield running


def recorded(redis: Redis) -> Sequence[dict[str, Any]]:
    """The decisions in the stream."""
    found: Any = redis.xrange(f"{DECISIONS_PREFIX}stream")
    return [json.loads(fields[b"decision"]) for _, fields in found]


@pytest.mark.parametrize(("on_error", "code"), [("allow", 0), ("forbid", 1)])
@pytest.mark.parametrize("policy", ["Plain", "Async"])
def test_a_policy_that_hangs_makes_no_answer_late(
    redis: Redis, redis_url: str, tmp_path: Path, beside: Callback, policy: str, on_error: str, code: int
) -> None:
    """Of 50 questions at once each gets the configured answer in time; what awaits something is recorded as late."""
    settings = own(tmp_path, policies=f"blocked_words,slow_policies:{policy}", on_error=on_error)
    # So that the built-in policy is in the chain and forbids none of them.
    (tmp_path / "words.txt").write_text("badword\n", encoding="utf-8")
    come_late = AT_ONCE if policy == "Async" else 0
    with callback(tmp_path, redis_url, settings) as running:
        texts = ["casino" if number % 2 else "hello" for number in range(AT_ONCE)]
        assert set(asyncio.run(ask_at_deadline(running, beside, texts))) == {code}
        wait_until(lambda: len(recorded(redis)) == AT_ONCE + come_late, "the late verdicts")
        wait_until(lambda: come_late or "policy.hung" in running.log.read_text(), "the line of what hung")
        stays_up = httpx.get(f"{running.url}/healthz")
        assert stays_up.status_code == 200
    decisions = recorded(redis)
    late = [one for one in decisions if one["late"]]
    answered = [one for one in decisions if not one["late"]]
    assert {(one["verdict"], one["policy"], one["command"]) for one in answered} == {(on_error, "on_error", C2C)}
    assert len({one["message"] for one in answered}) == AT_ONCE
    if come_late:
        assert {one["message"] for one in late} == {one["message"] for one in answered}
        assert {one["key"] for one in late} == {f"{one['key']}:late" for one in answered}
    assert [one["verdict"] for one in late].count("forbid") == come_late // 2
    assert verdicts(redis) == {on_error: AT_ONCE} | ({"late": AT_ONCE} if come_late else {})


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("policy", ["Burns", "Sleeps", "SleepsLater"])
def test_a_policy_that_holds_the_interpreter_stops_nobody(
    redis_url: str, tmp_path: Path, beside: Callback, policy: str, workers: int
) -> None:
    """Of the 20 questions with it each is answered right and in time, and its own one as ON_ERROR says."""
    settings = own(tmp_path, policies=f"slow_policies:{policy}", on_error="forbid")
    texts = [BURNS, *(("hello", "casino") * (BESIDE // 2))]
    with callback(tmp_path, redis_url, settings, workers=workers) as running:
        codes = asyncio.run(ask_at_deadline(running, beside, texts))
    assert codes == [1, *((0, 1) * (BESIDE // 2))]


def test_a_routing_that_holds_the_interpreter_stops_nobody(
    redis: Redis, redis_url: str, tmp_path: Path, beside: Callback
) -> None:
    """What was judged is answered in time, and the log tells that it goes nowhere."""
    with callback(tmp_path, redis_url, own(tmp_path, routing="slow_policies:route", on_error="forbid")) as running:
        codes = asyncio.run(ask_at_deadline(running, beside, ["casino", *["hello"] * BESIDE]))
        wait_until(
            lambda: running.log.read_text().count("routing.failed") == BESIDE, "a line of each that was not routed"
        )
    assert codes == [1, *[0] * BESIDE]
    assert len(recorded(redis)) == BESIDE + 1


def own(folder: Path, **settings: object) -> dict[str, str]:
    """The environment of a callback that finds these policies."""
    (folder / "slow_policies.py").write_text(POLICIES, encoding="utf-8")
    path = os.pathsep.join([str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    return {**moderation(folder, **settings), "PYTHONPATH": path}
