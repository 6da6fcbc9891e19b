"""The connections to the APIs, and which of them a push may use."""

import asyncio
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import aiohttp

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


class NoConnectionError(Exception):
    """Carries the error of a failed connect past aiohttp, which would otherwise wrap it or retry."""

    def __init__(self, cause: Exception | asyncio.CancelledError) -> None:
        self.cause = cause
        super().__init__()


class Connector(aiohttp.TCPConnector):
    """Marks every failure to get a connection, and never hands out a connection that is too old or has unread data.

    aiohttp would read bytes that arrived on an idle connection as the answer to the next request. It also has no
    maximum age: under a steady load no connection is ever idle long enough to be closed, so after a host has moved to
    another address, pushes would go to the old one for ever. Here it is used for ``max_age_s`` from its first push on.
    """

    def __init__(self, *, max_age_s: float, **options: Any) -> None:  # noqa: ANN401 -- they are aiohttp's
        super().__init__(**options)
        self._max_age_s = max_age_s
        self._born: WeakKeyDictionary[ResponseHandler, float] = WeakKeyDictionary()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: "list[Trace]",
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 -- the signature is aiohttp's
    ) -> "Connection":
        """A connection on which nothing of this request has been written yet."""
        try:
            return await self._connect_fit(req, traces, timeout)
        except (Exception, asyncio.CancelledError) as error:
            raise NoConnectionError(error) from error

    async def _connect_fit(
        self,
        req: aiohttp.ClientRequest,
        traces: "list[Trace]",
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 -- the same
    ) -> "Connection":
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            is_new = protocol not in self._born
            if protocol is None or not self._is_worn(protocol):
                return connection
            connection.close()
            if is_new:  # another new one would be no better
                raise aiohttp.ClientConnectionError("the server sent data or hung up before the request")

    def _is_worn(self, protocol: "ResponseHandler") -> bool:
        now = time.monotonic()
        return protocol.should_close or now - self._born.setdefault(protocol, now) > self._max_age_s
