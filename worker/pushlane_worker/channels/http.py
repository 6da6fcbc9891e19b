"""Outgoing HTTP: an httpx transport over aiohttp whose errors tell the stage, and a client that limits each exchange.

The stage decides whether a resend can duplicate, so it is never guessed from an error's name: what aiohttp raises
inside its connector happened before a byte of the request was written, everything else possibly after.
We use aiohttp because httpx's own transport walks its whole pool for every request: with 64 in flight it manages a few
hundred pushes per second, this one thousands.
"""

import asyncio
from collections.abc import AsyncIterator
from ssl import SSLContext
from typing import Any, cast

import aiohttp
import httpx
from aiohttp.http import HttpProcessingError
from yarl import URL  # aiohttp's own type of URL

from pushlane_worker.channels.connector import Connector, NoConnectionError
from pushlane_worker.decoding import decoded
from pushlane_worker.errors import PushNotSent, PushUnanswered
from pushlane_worker.proxy import Proxy
from pushlane_worker.queue.outcome import Answer

MAX_ANSWER_BYTES = 64 * 1024
"""Before and after decoding. An answer is a few dozen bytes of JSON; a larger one is not from the API."""
KEEPALIVE_S = 15.0
"""How long an idle connection is kept: less than a server's usual 60 s, so that a push seldom uses one that is just
being closed."""

CANCELLED_UNSENT = "pushlane.cancelled_unsent"
"""The request extension that is True if sending was cancelled before there was a connection."""
PROXY = "pushlane.proxy"
"""The request extension with the ``Proxy`` that it goes through."""

_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=None)
_AUTO_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_NO_ADDRESS = (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)
_AFTER = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError)  # TimeoutError is an OSError
_UNREACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)

# The first match names what happened once there was a connection. aiohttp's own text is left out: some of its messages
# quote raw headers.
_STAGES: tuple[tuple[type[Exception], type[httpx.TransportError], str], ...] = (
    (TimeoutError, httpx.ReadTimeout, "the server did not respond in time"),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError, "the server closed the connection without an answer"),
    (aiohttp.ClientPayloadError, httpx.RemoteProtocolError, "the answer ended before it was complete"),
    (aiohttp.ClientResponseError, httpx.RemoteProtocolError, "the answer is not valid HTTP"),
    (HttpProcessingError, httpx.RemoteProtocolError, "the answer is not valid HTTP"),
    (aiohttp.ClientConnectionResetError, httpx.WriteError, "the connection closed while the request was written"),
    (OSError, httpx.ReadError, "the connection broke"),
    (Exception, httpx.WriteError, "the request could not be written"),
)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """One aiohttp session behind httpx's interface; it never raises aiohttp exceptions.

    ``httpx.ConnectError``, ``ConnectTimeout`` and ``ProxyError`` mean that no byte of the request was written. A
    ``POST`` is written at most once: aiohttp retries only idempotent methods. Bodies are returned as received, without
    decoding. Of httpx's timeouts it uses only ``connect`` and ``read``; without them there is no timeout.

    Args:
        limit: The maximum number of open connections.
        max_age_s: The longest time that a connection is used, so that a host's move is noticed even under load.
        resolve_s: How long resolved addresses are cached.
        ssl_context: Replaces the system's trust store; verification cannot be switched off.
    """

    def __init__(
        self,
        *,
        limit: int = 64,
        max_age_s: float = 60.0,
        resolve_s: float = 5.0,
        ssl_context: SSLContext | None = None,
    ) -> None:
        self._connections: dict[str, Any] = {
            "max_age_s": max_age_s,
            "limit": limit,
            "keepalive_timeout": KEEPALIVE_S,
            "ttl_dns_cache": resolve_s,
            "ssl": True if ssl_context is None else ssl_context,
        }
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Write the request and return as soon as the response headers are there."""
        body = await request.aread()
        session = self._session or self._open()
        proxy: Proxy | None = request.extensions.get(PROXY)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        if proxy and request.url.scheme == "http":  # no tunnel: the proxy gets the request itself
            headers += proxy.headers.items()
        try:
            answer = await session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=headers,
                data=body or None,
                allow_redirects=False,
                timeout=_timeout(request),
                proxy=URL(proxy.url) if proxy else None,
                proxy_headers=proxy.headers if proxy else None,
            )
        except NoConnectionError as error:
            raise _before(error.cause, request) from error.cause
        except _NO_ADDRESS as error:
            raise httpx.UnsupportedProtocol("the address is not an http or https URL", request=request) from error
        except _AFTER as error:
            raise _after(error) from error
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Body(answer))

    async def aclose(self) -> None:
        """Close all connections; later requests raise ``httpx.ConnectError``."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise httpx.ConnectError("the transport is closed")
        self._session = aiohttp.ClientSession(
            connector=Connector(**self._connections),
            timeout=_NO_TIMEOUT,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_AUTO_HEADERS,
            auto_decompress=False,
            trust_env=False,
        )
        return self._session


class PushClient:
    """Exchanges one request for one complete answer, within a deadline and a size limit.

    It calls the transport directly, so there are no redirects, no cookies and no proxy from the environment. With
    ``httpx.AsyncClient`` the same exchange takes twice as long.

    Args:
        deadline_s: Seconds from the call to the last byte of the answer, connecting included.
        proxy: The proxy for all requests.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        *,
        deadline_s: float = 10.0,
        proxy: Proxy | None = None,
    ) -> None:
        self._transport = transport
        self._deadline_s = deadline_s
        self._proxy = proxy

    async def exchange(self, request: httpx.Request) -> Answer:
        """Send the request once and read the whole answer.

        Raises:
            PushNotSent: There was no connection, so the request took no effect.
            PushUnanswered: At least part of it was sent, but no complete answer within the limits came back. Also
                raised for transport errors that do not tell the stage.
        """
        if request.headers.get("accept-encoding") != "identity":
            request.headers["accept-encoding"] = "identity"
        if self._proxy is not None:
            request.extensions[PROXY] = self._proxy
        try:
            async with asyncio.timeout(self._deadline_s):
                response = await self._transport.handle_async_request(request)
                return Answer(response.status_code, response.headers, await self._read(response))
        except _UNREACHED as error:
            raise PushNotSent(str(error)) from error
        except httpx.HTTPError as error:
            raise PushUnanswered(str(error)) from error
        except TimeoutError as error:
            if request.extensions.get(CANCELLED_UNSENT):
                raise PushNotSent(f"no connection within {self._deadline_s:g} s") from error
            raise PushUnanswered(f"no complete answer within {self._deadline_s:g} s") from error

    async def aclose(self) -> None:
        """Close the transport and its connections."""
        await self._transport.aclose()

    async def _read(self, response: httpx.Response) -> bytes:
        # Read the stream itself: Response's readers decode, and would double the cost of the transport.
        stream = cast("httpx.AsyncByteStream", response.stream)
        body = b""
        try:
            async for chunk in stream:
                body += chunk
                _check_size(response, body)
        finally:
            await stream.aclose()
        if coding := response.headers.get("content-encoding"):
            body = decoded(body, coding, MAX_ANSWER_BYTES)
            _check_size(response, body)
        return body


def _check_size(response: httpx.Response, body: bytes) -> None:
    if len(body) > MAX_ANSWER_BYTES:
        raise PushUnanswered(f"HTTP {response.status_code} with more than {MAX_ANSWER_BYTES} bytes")


class _Body(httpx.AsyncByteStream):
    """The answer's bytes as they arrive; closing it before the end closes the connection."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._answer.content.readany()
        except _AFTER as error:
            raise _after(error) from error
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        if not self._answer.closed:
            self._answer.close()


def _timeout(request: httpx.Request) -> aiohttp.ClientTimeout:
    given = request.extensions.get("timeout")
    if given is None:
        return _NO_TIMEOUT
    return aiohttp.ClientTimeout(total=None, connect=given.get("connect"), sock_read=given.get("read"))


def _before(cause: Exception | asyncio.CancelledError, request: httpx.Request) -> BaseException:
    if isinstance(cause, asyncio.CancelledError):
        request.extensions[CANCELLED_UNSENT] = True
        return cause
    if isinstance(cause, TimeoutError):
        return httpx.ConnectTimeout("no connection in time", request=request)
    proxy: Proxy | None = request.extensions.get(PROXY)
    if proxy is None:
        return httpx.ConnectError(str(cause), request=request)
    return httpx.ProxyError(f"through the proxy {proxy.url}: {_proxy_words(cause)}", request=request)


def _proxy_words(cause: Exception) -> str:
    """What went wrong with the tunnel; aiohttp's own text may quote headers and the address."""
    if isinstance(cause, aiohttp.ClientHttpProxyError):
        return f"it answered HTTP {cause.status} to CONNECT"
    if isinstance(cause, aiohttp.ServerDisconnectedError):
        return "it closed the connection"
    if isinstance(cause, aiohttp.ClientResponseError | HttpProcessingError):
        return "its answer to CONNECT is not valid HTTP"
    return str(cause)


def _after(error: Exception) -> httpx.TransportError:
    kind, text = next((kind, text) for raised, kind, text in _STAGES if isinstance(error, raised))
    reason = error.strerror if isinstance(error, OSError) else None
    return kind(f"{text}: {reason}" if reason and kind is httpx.ReadError else text)
