"""The callback without Redis, and at its end: nothing passes unjudged, and nothing that was decided is lost."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.requests import Request
from support.callback import APP, c2c, callback, moderation, query
from support.waiting import wait_until_async

from pushlane.callback import ChatMessage, Verdict
from pushlane.callback.decisions.feed import Feed
from pushlane.callback.decisions.spool import Spool
from pushlane.callback.moderation.chain import Elsewhere
from pushlane.callback.moderation.endpoint import Moderation
from pushlane.callback.settings import ModerationSettings
from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    """One that a test may spoil."""
    with EmbeddedServer() as server:
        yield server


def test_a_callback_that_moderates_is_ready_without_redis(own_server: EmbeddedServer, tmp_path: Path) -> None:
    """A balancer that took all of them out would let the platform deliver unjudged."""
    with callback(tmp_path, own_server.url, moderation(tmp_path)) as running, httpx.Client() as client:
        own_server.kill()
        ready = client.get(f"{running.url}/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "redis is away"})
        assert running.ask(client, c2c(1, "casino"))["ErrorCode"] == 1


class Late(Elsewhere):
    """A policy that answers when it is told to."""

    name = "late"

    def __init__(self) -> None:
        self.told = asyncio.Event()

    async def ask(self, _message: ChatMessage, _until: float) -> Verdict:
        """Forbids."""
        await self.told.wait()
        return Verdict.forbid(reason="late")


async def test_a_verdict_that_comes_late_at_the_end_is_on_disk(own_server: EmbeddedServer, tmp_path: Path) -> None:
    """Also while Redis hangs, so that it takes its time."""
    settings = ModerationSettings(sdk_app_ids=(APP,), deadline_s=0.5)
    feed, late = Feed(own_server.url, 60, await Spool.open(tmp_path)), Late()
    feed.start()
    judges = Moderation(settings, (), [late], feed, None)
    assert await judges.respond(_question()) is not None
    own_server.pause()
    try:
        late.told.set()
        await wait_until_async(partial(_has_some, judges._apart), "the late verdict")
        await judges.aclose()
        await feed.aclose()
    finally:
        own_server.resume()
    assert feed.lost == 0
    spool = await Spool.open(tmp_path)
    (kept,) = [json.loads(payload) for payload in await spool.read(10)]
    await spool.aclose()
    assert (kept["late"], kept["verdict"]["reason"]) == (True, "late")


async def _has_some(tasks: Collection[object]) -> bool:
    return len(tasks) > 0


def _question() -> Request:
    scope: dict[str, object] = {"type": "http", "headers": [], "client": None, "query_string": query().encode()}

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": json.dumps(c2c(1)).encode(), "more_body": False}

    return Request(scope, receive)
