"""What the machine can do without a queue: full batches from memory.

``python -m benchmarks.bare loop URL PUSHES SIZE IN_FLIGHT`` pushes through Pushlane's own channel and transport,
``aiohttp`` through an aiohttp session alone, and ``raw`` through bare sockets, which shows the chat API's own ceiling.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Final, cast

import aiohttp
import uvloop
from pydantic import SecretStr

from benchmarks.backlog import TEXT
from pushlane.outcome import Outcome
from pushlane_worker.channel_settings import ChannelSettings
from pushlane_worker.channels.cinnox import Cinnox
from pushlane_worker.channels.http import AiohttpTransport, PushClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PATH: Final = "/v1/api/apps/bench/message-push"
_TEXT_BODY: Final = json.dumps(TEXT).encode()
_HEADERS: Final = {"Authorization": "Bearer token", "Content-Type": "application/json"}


async def _spread(in_flight: int, pushes: int, push: Callable[[int], Awaitable[None]]) -> None:
    numbers = iter(range(pushes))

    async def work() -> None:
        for number in numbers:
            await push(number)

    await asyncio.gather(*[work() for _ in range(in_flight)])


async def loop(url: str, pushes: int, size: int, in_flight: int) -> None:
    """Pushlane's own way out."""
    given = {"kind": "cinnox", "base_url": url, "app_id": "bench", "token": SecretStr("token")}
    kind = Cinnox(ChannelSettings.model_validate(given), lambda: "token")
    client = PushClient(AiohttpTransport(limit=in_flight))

    async def push(number: int) -> None:
        request = kind.request(f"room-{number}", b"", [_TEXT_BODY] * size)
        result = kind.read(await client.exchange(request))
        assert result.outcome is Outcome.DELIVERED, result

    await _spread(in_flight, pushes, push)
    await client.aclose()


async def bare_aiohttp(url: str, pushes: int, size: int, in_flight: int) -> None:
    """An aiohttp session and nothing else."""
    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(connector=connector, headers=_HEADERS) as session:

        async def push(number: int) -> None:
            async with session.post(url + PATH, data=_body(number, size)) as answer:
                await answer.read()
                assert answer.status == 200

        await _spread(in_flight, pushes, push)


async def raw(url: str, pushes: int, size: int, in_flight: int) -> None:
    """Bare sockets, and the same bytes each time."""
    body = _body(0, size)
    request = b"POST %b HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n%b" % (PATH.encode(), len(body), body)
    left, done = iter(range(pushes - in_flight)), asyncio.Event()
    open_connections = in_flight

    class Pusher(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._transport = cast("asyncio.Transport", transport)
            self._transport.write(request)

        def data_received(self, data: bytes) -> None:  # noqa: ARG002 - every answer is the same
            nonlocal open_connections
            if next(left, None) is not None:
                self._transport.write(request)
                return
            self._transport.close()
            open_connections -= 1
            if not open_connections:
                done.set()

    host, _, port = url.removeprefix("http://").partition(":")
    for _ in range(in_flight):
        await asyncio.get_running_loop().create_connection(Pusher, host, int(port))
    await done.wait()


def _body(number: int, size: int) -> bytes:
    messages = b",".join([b'{"type":"text","text":%b}' % _TEXT_BODY] * size)
    return b'{"roomID":"room-%d","messages":[%b]}' % (number, messages)


if __name__ == "__main__":
    how, address, *numbers = sys.argv[1:]
    run = {"loop": loop, "aiohttp": bare_aiohttp, "raw": raw}[how]
    uvloop.run(run(address, *map(int, numbers)))
