"""Feeds, and the clients that do what they leave to do."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from support.feed import RETENTION_S, Open

from pushlane.async_producer import AsyncProducer
from pushlane.callback.decisions import feed as feed_module
from pushlane.callback.decisions import recorder
from pushlane.callback.decisions.feed import Feed
from pushlane.callback.decisions.spool import Spool
from pushlane.clients import connect_async
from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from redis.asyncio import Redis as AsyncRedis


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests in which Redis is there: on a busy machine it may take longer, and decisions would go to the disk."""
    for module in (feed_module, recorder):
        monkeypatch.setattr(module, "RECORD_S", 10.0)


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
    async with connect_async(redis_url, timeout=10, connect_timeout=10) as client:
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
