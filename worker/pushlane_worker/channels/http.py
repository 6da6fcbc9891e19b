"""Outgoing HTTP over aiohttp: exchanges one request for one answer, with errors that tell the stage.

The stage decides whether a resend can duplicate, so it is never guessed from an error's name: what aiohttp raises
inside its connector happened before a byte of the request was written, everything else possibly after.
"""

import asyncio
from ssl import SSLContext

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL  # aiohttp's own type of URL

from pushlane_worker.channels.connector import Connector, NoConnectionError
from pushlane_worker.decoding import decoded
from pushlane_worker.errors import PushNotSent, PushUnanswered
from pushlane_worker.proxy import Proxy
from pushlane_worker.queue.outcome import Answer, PushRequest

MAX_ANSWER_BYTES = 64 * 1024
"""An answer is a few dozen bytes of JSON; a larger one is not from the API."""

_AUTO_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_NO_ADDRESS = (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)
_AFTER = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError)  # TimeoutError is an OSError

# The first match names what happened once there was a connection. aiohttp's own text is left out: some of its messages
# quote raw headers.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ServerDisconnectedError, "the server closed the connection without an answer"),
    (aiohttp.ClientPayloadError, "the answer ended before it was complete"),
    (aiohttp.ClientResponseError, "the answer is not valid HTTP"),
    (HttpProcessingError, "the answer is not valid HTTP"),
    (aiohttp.ClientConnectionResetError, "the connection closed while the request was written"),
    (OSError, "the connection broke"),
    (Exception, "the request could not be written"),
)


class AiohttpTransport:
    """The connections of a process to all APIs: one aiohttp session, opened at its first use.

    Args:
        limit: The maximum number of open connections.
        keepalive_s: How long an idle connection is kept. Below a server's usual 60 s, so that a push seldom uses a
            connection that is just being closed.
        max_age_s: The longest time that a connection is used, so that a host's move is noticed even under load.
        resolve_s: How long resolved addresses are cached.
        ssl_context: Replaces the system's trust store; verification cannot be switched off.
    """

    def __init__(
        self,
        *,
        limit: int = 64,
        keepalive_s: float = 15.0,
        max_age_s: float = 60.0,
        resolve_s: float = 5.0,
        ssl_context: SSLContext | None = None,
    ) -> None:
        self._limit = limit
        self._keepalive_s = keepalive_s
        self._max_age_s = max_age_s
        self._resolve_s = resolve_s
        self._ssl = True if ssl_context is None else ssl_context
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def aclose(self) -> None:
        """Close all connections; nothing is sent any more."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The session. Raises PushNotSent after the end."""
        if self._closed:
            raise PushNotSent("the transport is closed")
        if self._session is None:
            self._session = self._open()
        return self._session

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=Connector(
                max_age_s=self._max_age_s,
                limit=self._limit,
                keepalive_timeout=self._keepalive_s,
                ttl_dns_cache=self._resolve_s,
                ssl=self._ssl,
            ),
            headers={"Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_AUTO_HEADERS,
            auto_decompress=False,
            trust_env=False,
        )


class PushClient:
    """Exchanges one request for one complete answer, within a deadline and a size limit.

    A request is written at most once: aiohttp retries only idempotent methods. There are no redirects, no cookies and
    no proxy from the environment.

    Args:
        transport: Its connections, which it may share.
        deadline_s: Seconds from the call to the last byte of the answer, connecting included.
        limit_bytes: The largest answer accepted, before and after decoding.
        proxy: The proxy for all requests.
    """

    def __init__(
        self,
        transport: AiohttpTransport,
        *,
        deadline_s: float = 10.0,
        limit_bytes: int = MAX_ANSWER_BYTES,
        proxy: Proxy | None = None,
    ) -> None:
        self._transport = transport
        self._deadline_s = deadline_s
        self._limit_bytes = limit_bytes
        self._proxy = proxy

    async def exchange(self, request: PushRequest) -> Answer:
        """Send the request once and read the whole answer.

        Raises:
            PushNotSent: There was no connection, so the request took no effect.
            PushUnanswered: At least part of it was sent, but no complete answer within the limits came back.
        """
        connected = True
        try:
            async with asyncio.timeout(self._deadline_s) as deadline:
                try:
                    return await self._exchange(request)
                except NoConnectionError as error:
                    connected = False
                    raise error.cause from error
        except _NO_ADDRESS as error:
            raise PushNotSent("the address is not an http or https URL") from error
        except Exception as error:
            if not connected:
                raise PushNotSent(self._before(error, late=deadline.expired())) from error
            if deadline.expired():
                raise PushUnanswered(f"no complete answer within {self._deadline_s:g} s") from error
            if isinstance(error, _AFTER):
                raise PushUnanswered(_after(error)) from error
            raise

    async def aclose(self) -> None:
        """Close the transport and its connections."""
        await self._transport.aclose()

    async def _exchange(self, request: PushRequest) -> Answer:
        url, proxy, headers = URL(request.url, encoded=True), self._proxy, request.headers
        if proxy and url.scheme == "http":  # no tunnel: the proxy gets the request itself
            headers = {**headers, **proxy.headers}
        answer = await self._transport.session.post(
            url,
            headers=headers,
            data=request.body,
            allow_redirects=False,
            proxy=URL(proxy.url) if proxy else None,
            proxy_headers=proxy.headers if proxy else None,
        )
        try:
            return await self._read(answer)
        finally:
            answer.close()  # its connection, too, unless it was read to its end

    async def _read(self, answer: aiohttp.ClientResponse) -> Answer:
        body = b""
        async for chunk in answer.content.iter_any():
            body += chunk
            self._check_size(answer.status, body)
        headers = {name.lower(): ", ".join(answer.headers.getall(name)) for name in answer.headers}
        if coding := headers.get("content-encoding"):
            body = decoded(body, coding, self._limit_bytes)
            self._check_size(answer.status, body)
        return Answer(answer.status, headers, body)

    def _check_size(self, status: int, body: bytes) -> None:
        if len(body) > self._limit_bytes:
            raise PushUnanswered(f"HTTP {status} with more than {self._limit_bytes} bytes")

    def _before(self, error: Exception, *, late: bool) -> str:
        if late:
            return f"no connection within {self._deadline_s:g} s"
        if self._proxy is None:
            return str(error) or type(error).__name__
        return f"through the proxy {self._proxy.url}: {_proxy_words(error)}"


def _proxy_words(error: Exception) -> str:
    """What went wrong with the tunnel; aiohttp's own text may quote headers and the address."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"it answered HTTP {error.status} to CONNECT"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection"
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
        return "its answer to CONNECT is not valid HTTP"
    return str(error)


def _after(error: Exception) -> str:
    text = next(text for raised, text in _REASONS if isinstance(error, raised))
    reason = error.strerror if isinstance(error, OSError) else None
    return f"{text}: {reason}" if reason and text == "the connection broke" else text
