"""Pushes through the real way out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from hostile import Behaviour, serving

from pushlane_worker.channels.http import AiohttpTransport, PushClient
from pushlane_worker.queue.outcome import Answer


@asynccontextmanager
async def pushing(
    transport: httpx.AsyncBaseTransport | None = None, deadline_s: float = 5.0
) -> AsyncIterator[PushClient]:
    """A client that is closed at the end."""
    client = PushClient(transport or AiohttpTransport(), deadline_s=deadline_s)
    try:
        yield client
    finally:
        await client.aclose()


def push(url: str, body: bytes = b"{}") -> httpx.Request:
    """A request with a token that must not be repeated in any error."""
    return httpx.Request("POST", url, content=body, headers={"Authorization": "Bearer hidden"})


async def exchange(behave: Behaviour, deadline_s: float = 5.0) -> Answer:
    """One push to one such server."""
    async with serving(behave) as server, pushing(deadline_s=deadline_s) as client:
        return await client.exchange(push(server.url()))
