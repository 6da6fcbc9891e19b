"""``/metrics`` on a port of the worker's own, for Prometheus.

aiohttp reads the requests; what it leaves unlimited is limited here. Each connection gets one answer and little time.
If there are too many, the oldest one makes room, the silent ones first: neither peers that ask nothing nor peers that
do not read what they asked for keep Prometheus out.
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Final

from aiohttp import web

from pushlane.metrics.exposition import CONTENT_TYPE
from pushlane.metrics.scrape import Scrape
from pushlane.service.credentials import bearer, is_one_of
from pushlane_worker.telemetry import logger

CONNECTIONS: Final = 20
"""At once. A text of a thousand channels has 2 MB, which each of them may leave unread."""
LIFE_S: Final = 15.0
"""Of a connection: longer than Prometheus waits for an answer."""
SHUTDOWN_S: Final = 0.5
"""How long a stop waits for answers that are being sent. For aiohttp, zero would mean for ever."""
_SILENT: Final = logging.Logger("silent", logging.CRITICAL + 1)  # noqa: LOG001 # not in the tree of loggers, whose levels Celery sets
"""For aiohttp, which would log a traceback for each head that is too long."""
_NO_IPV6: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def listen(port: int) -> socket.socket:
    """A socket that listens on all interfaces; forked children close it. Raises OSError if the port is not free."""
    try:
        listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    except OSError as error:
        if error.errno not in _NO_IPV6:
            raise
        listener = socket.create_server(("", port))
    os.register_at_fork(after_in_child=listener.close)
    return listener


@contextlib.asynccontextmanager
async def serving(listener: socket.socket, scrape: Scrape, tokens: Sequence[str]) -> AsyncIterator[None]:
    """Serves on this socket, which it closes at the end. With ``tokens``, a request needs one of them."""
    runner = web.ServerRunner(_Server(scrape, tokens), shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield
    finally:
        await runner.cleanup()
        scrape.close()


class _Server(web.Server):
    def __init__(self, scrape: Scrape, tokens: Sequence[str]) -> None:
        super().__init__(self._respond, access_log=None, logger=_SILENT, lingering_time=1.0)
        self._scrape = scrape
        self._tokens = tokens
        self._ends: dict[web.RequestHandler, asyncio.TimerHandle] = {}
        self._transports: dict[web.RequestHandler, asyncio.Transport] = {}
        self._silent: dict[web.RequestHandler, None] = {}

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Begins, after the oldest silent connection, or else the oldest one, has made room."""
        super().connection_made(handler, transport)
        if len(self._transports) >= CONNECTIONS:
            oldest = next(iter(self._silent or self._transports))
            self._silent.pop(oldest, None)
            self._transports.pop(oldest).abort()
        self._ends[handler] = asyncio.get_running_loop().call_later(LIFE_S, transport.abort)
        self._transports[handler] = transport
        self._silent[handler] = None

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Ends."""
        self._ends.pop(handler).cancel()
        self._transports.pop(handler, None)
        self._silent.pop(handler, None)
        super().connection_lost(handler, exc)

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        self._silent.pop(request.protocol, None)
        try:
            answer = await self._answer(request)
        except Exception:  # noqa: BLE001 # a defect of ours, of which nobody else would tell
            logger().exception("metrics.broken")
            answer = web.Response(status=500)
        answer.force_close()
        return answer

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        if request.rel_url.raw_path != "/metrics":
            return web.Response(status=404)
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        if self._tokens and not is_one_of(self._tokens, bearer(request.headers.getall("Authorization", []))):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        return web.Response(body=await self._scrape.text(), headers={"Content-Type": CONTENT_TYPE})
