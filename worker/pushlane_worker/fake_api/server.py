"""The fake API's HTTP server, and the fake API inside a process.

It uses aiohttp's low-level server, without router and middlewares: measured at 6,200 pushes of ten messages per second
on one core, against 5,500 with ``Application``.
"""

import socket
import struct
import time
from typing import Self

from aiohttp import web

from pushlane_worker.fake_api import backdoor
from pushlane_worker.fake_api.chat import FakeChat
from pushlane_worker.fake_api.control import Control
from pushlane_worker.fake_api.rules import NO_ANSWER, Call, Reply, json_reply

SHUTDOWN_S = 0.05
"""How long a stop waits for pushes in flight. For aiohttp, zero would mean for ever."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class FakeApi(FakeChat):
    """The fake API on the running event loop; ``run`` is the same as its own program.

    Port 0 means any free port, which ``url`` then contains. Blocking calls in the same thread, such as those of
    ``FakeApiClient``, would wait for ever: use the methods here, or another thread.
    """

    def __init__(self, control: Control | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(control or Control())
        self._host = host
        self._port = port
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """The base address, without a trailing slash."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def start(self) -> None:
        """Start listening.

        Raises:
            OSError: The port is in use, or the host is not a local address.
        """
        runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        site = web.TCPSite(runner, self._host, self._port, backlog=1024)
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self._port = site.port

    async def stop(self) -> None:
        """Stop listening and drop pushes in flight."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        reply = await self._reply(request)
        if reply is NO_ANSWER:
            _reset_connection(request)
        return web.Response(status=reply.status or 200, body=reply.body, headers=reply.headers)

    async def _reply(self, request: web.BaseRequest) -> Reply:
        path = request.rel_url.raw_path
        try:
            body = await request.read()
        except ConnectionError:
            return NO_ANSWER  # the client disconnected in the middle of its request
        except web.HTTPRequestEntityTooLarge:
            return json_reply(413, {"code": 413, "message": "body: larger than 1 MiB"})
        if path.startswith(backdoor.PREFIX):
            return backdoor.answer(self, request.method, path, body)
        return await self.answer(Call(request.method, path, request.headers, body, time.monotonic()))


def _reset_connection(request: web.BaseRequest) -> None:
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        request.transport.abort()
