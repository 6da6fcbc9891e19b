"""The connections to the APIs: which one a push may take."""

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
    """Carries what ended the connecting past aiohttp, which would wrap or repeat it."""

    def __init__(self, cause: Exception | asyncio.CancelledError) -> None:
        self.cause = cause
        super().__init__()


class Connector(aiohttp.TCPConnector):
    """Marks every failure to get a connection, and hands out none that is too old or has a stray answer waiting.

    aiohttp would read bytes that came while the connection was idle as the answer to the next request. And it knows no
    greatest age: under a steady load no connection is ever idle for long enough to end, and a host that moves to
    another address would be met at the old one for ever.

    Args:
        max_age_s: How long after its first push a connection gets its last one.
        options: ``aiohttp.TCPConnector``'s.
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
        """A connection on which nothing of this request was written yet."""
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
            if is_new:  # the next one would be no better
                raise aiohttp.ClientConnectionError("the server wrote or hung up before it was asked")

    def _is_worn(self, protocol: "ResponseHandler") -> bool:
        now = time.monotonic()
        return protocol.should_close or now - self._born.setdefault(protocol, now) > self._max_age_s
