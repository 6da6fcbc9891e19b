"""A policy that hangs makes no answer late, and its verdict is not lost."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.callback import C2C, c2c, callback, moderation, query
from support.waiting import wait_until

from pushlane.keys import DECISIONS_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from redis import Redis

pytestmark = [pytest.mark.alone, pytest.mark.long]
AT_ONCE = 50
BUDGET_S = 1.6
HANGS_S = 2.0
POLICIES = f"""
import asyncio, time
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
"""


async def ask_at_once(url: str) -> list[tuple[int, float]]:
    """The codes of the answers, and how long each took; over bare connections, as httpx takes 0.6 s for 50 requests."""
    host, _, port = url.removeprefix("http://").partition(":")
    streams = [await asyncio.open_connection(host, int(port)) for _ in range(AT_ONCE)]
    signed = query()

    async def ask(number: int) -> tuple[int, float]:
        reader, writer = streams[number]
        body = json.dumps(c2c(number, "casino" if number % 2 else "hello"))
        head = f"POST /tencent/callback?{signed} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
        started = time.monotonic()
        writer.write((head + body).encode())
        answer = await reader.readuntil(b"}")
        took = time.monotonic() - started
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()
        return json.loads(answer.partition(b"\r\n\r\n")[2])["ErrorCode"], took

    return await asyncio.gather(*map(ask, range(AT_ONCE)))


def recorded(redis: Redis) -> Sequence[dict[str, Any]]:
    """The decisions in the stream."""
    found: Any = redis.xrange(f"{DECISIONS_PREFIX}stream")
    return [json.loads(fields[b"decision"]) for _, fields in found]


@pytest.mark.parametrize(("on_error", "code"), [("allow", 0), ("forbid", 1)])
@pytest.mark.parametrize("policy", ["Plain", "Async"])
def test_a_policy_that_hangs_makes_no_answer_late(
    redis: Redis, redis_url: str, tmp_path: Path, policy: str, on_error: str, code: int
) -> None:
    """Of 50 questions at once each gets the configured answer in 1.6 s; the verdicts come later into the record."""
    (tmp_path / "slow_policies.py").write_text(POLICIES, encoding="utf-8")
    settings = moderation(tmp_path, policies=f"blocked_words,slow_policies:{policy}", on_error=on_error)
    # So that the built-in policy is in the chain and forbids none of them.
    (tmp_path / "words.txt").write_text("badword\n", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    with callback(tmp_path, redis_url, {**settings, "PYTHONPATH": path}) as running:
        answers = asyncio.run(ask_at_once(running.url))
        assert {given for given, _ in answers} == {code}
        assert max(took for _, took in answers) < BUDGET_S
        wait_until(lambda: len(recorded(redis)) == 2 * AT_ONCE, "the late verdicts")
        stays_up = httpx.get(f"{running.url}/healthz")
        assert stays_up.status_code == 200
    decisions = recorded(redis)
    late = [one for one in decisions if one["late"]]
    answered = [one for one in decisions if not one["late"]]
    assert {(one["verdict"], one["policy"], one["command"]) for one in answered} == {(on_error, "chain", C2C)}
    assert len({one["message"] for one in answered}) == AT_ONCE
    assert {one["message"] for one in late} == {one["message"] for one in answered}
    assert {one["key"] for one in late} == {f"{one['key']}:late" for one in answered}
    assert [one["verdict"] for one in late].count("forbid") == AT_ONCE // 2
    counted: Any = redis.hgetall(f"{DECISIONS_PREFIX}verdicts")
    assert counted == {on_error.encode(): b"50", b"late": b"50"}
