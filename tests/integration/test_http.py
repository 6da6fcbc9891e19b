"""The way out against servers that misbehave: what is certainly not sent, what is unknown, and what is an answer."""

import asyncio
import gzip
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from unittest.mock import AsyncMock

import aiohttp
import httpx
import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http import HttpProcessingError
from hostile import OK, Behaviour, Peer, answering, deaf, serving, silent, wait_until

from pushlane_worker.channels.cinnox import Cinnox
from pushlane_worker.errors import PushNotSent, PushUnanswered
from pushlane_worker.http import MAX_ANSWER_BYTES, AiohttpTransport, PushClient
from pushlane_worker.outcome import Answer, Outcome

REFUSED = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"code":6451000}'


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


def closed_port() -> int:
    """A port of loopback where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


class NoSuchName(AbstractResolver):
    """A resolver that knows nothing, so that no test asks a real one."""

    async def resolve(
        self,
        host: str,
        port: int = 0,  # noqa: ARG002 -- the signature is aiohttp's
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002
    ) -> list[ResolveResult]:
        """Fail as a resolver does."""
        raise OSError(None, f"{host}: Name or service not known")

    async def close(self) -> None:
        """Hold nothing."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that no system trusts."""
    return trustme.CA()


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """A client's context that trusts this authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def certified(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """A server's context with a certificate for this name."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


# --- certainly not sent ------------------------------------------------------------------------------------------


async def test_a_closed_port_is_not_sent() -> None:
    """F40: nobody listens, so nothing can have taken effect; the error names no secret."""
    async with pushing() as client:
        with pytest.raises(PushNotSent, match=r"(?i)connect") as caught:
            await client.exchange(push(f"http://127.0.0.1:{closed_port()}/push?key=hidden"))
    assert "hidden" not in str(caught.value)


async def test_an_unknown_name_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """F40: without an address there is no connection."""
    monkeypatch.setattr("aiohttp.connector.DefaultResolver", lambda **_: NoSuchName())
    async with pushing() as client:
        with pytest.raises(PushNotSent, match="not known"):
            await client.exchange(push("http://api.invalid/push?key=hidden"))


async def test_a_name_that_is_no_name_is_not_sent() -> None:
    """A host that the resolver itself refuses is no more than a failed connection."""
    async with pushing() as client:
        with pytest.raises(PushNotSent):
            await client.exchange(push(f"http://{'x' * 70}.invalid/push"))


async def test_an_address_that_is_not_http_is_not_sent() -> None:
    """A wrong scheme ends as an error of ours, not of aiohttp."""
    async with pushing() as client:
        with pytest.raises(PushNotSent):
            await client.exchange(push("ftp://127.0.0.1/push"))


async def test_a_certificate_of_an_unknown_authority_is_refused(authority: trustme.CA) -> None:
    """F60: without trust the request stays here."""
    async with serving(deaf, certified(authority, "localhost")) as server, pushing() as client:
        with pytest.raises(PushNotSent, match="certificate verify failed"):
            await client.exchange(push(server.url("localhost")))
    assert server.heads == []


async def test_a_certificate_for_another_name_is_refused(authority: trustme.CA) -> None:
    """F60: trust in the authority is not enough."""
    transport = AiohttpTransport(ssl_context=trusting(authority))
    async with serving(deaf, certified(authority, "other.example")) as server, pushing(transport) as client:
        with pytest.raises(PushNotSent, match="certificate verify failed"):
            await client.exchange(push(server.url("localhost")))
    assert server.heads == []


async def test_a_right_certificate_is_accepted(authority: trustme.CA) -> None:
    """The two refusals above are about the certificate, not about TLS."""
    transport = AiohttpTransport(ssl_context=trusting(authority))
    async with serving(answering(OK), certified(authority, "localhost")) as server, pushing(transport) as client:
        assert (await client.exchange(push(server.url("localhost")))).status == 200


async def test_tls_to_a_server_that_speaks_none_is_not_sent() -> None:
    """F40: a failed handshake carried no request."""

    async def plain(peer: Peer) -> None:
        await peer.send(OK)

    async with serving(plain) as server, pushing() as client:
        server.scheme = "https"
        with pytest.raises(PushNotSent):
            await client.exchange(push(server.url()))


async def test_a_deadline_that_falls_into_the_handshake_is_not_sent() -> None:
    """The total deadline tells connecting from waiting."""
    async with serving(silent) as server, pushing(deadline_s=0.2) as client:
        server.scheme = "https"
        with pytest.raises(PushNotSent, match=r"no connection within 0\.2 s"):
            await client.exchange(push(server.url()))


async def test_a_deadline_that_falls_into_the_wait_for_a_connection_is_not_sent() -> None:
    """A push that found all connections taken has written nothing."""
    async with serving(deaf) as server, pushing(AiohttpTransport(limit=1), deadline_s=5) as first:
        second = PushClient(first._transport, deadline_s=0.2)
        taken = asyncio.create_task(first.exchange(push(server.url(), b"first")))
        await wait_until(lambda: server.bodies == [b"first"], "the first request")
        with pytest.raises(PushNotSent):
            await second.exchange(push(server.url(), b"second"))
        taken.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taken
    assert server.bodies == [b"first"]


async def test_a_closed_client_sends_nothing() -> None:
    """After the end there is no new session."""
    async with serving(answering(OK)) as server, pushing() as client:
        await client.aclose()
        with pytest.raises(PushNotSent):
            await client.exchange(push(server.url()))
    assert server.connections == 0


# --- unanswered --------------------------------------------------------------------------------------------------


async def resets(peer: Peer) -> None:
    """Take the request, then RST."""
    await peer.request()
    peer.reset()


async def drips(peer: Peer) -> None:
    """A byte each 0.2 s: every single read is quick."""
    await peer.request()
    for byte in OK:
        await peer.send(bytes([byte]))
        await asyncio.sleep(0.2)


MANY_HEADERS = b"".join(b"X-%d: %b\r\n" % (number, b"x" * 1000) for number in range(200))


@pytest.mark.parametrize(
    ("behave", "why"),
    [
        pytest.param(resets, "the connection broke", id="reset after the request"),
        pytest.param(answering(b""), "without an answer", id="closed after the request"),
        pytest.param(answering(b"HTTP/1.1 200"), "without an answer|no valid HTTP", id="cut in the status line"),
        pytest.param(
            answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), "ended before", id="cut in the body"
        ),
        pytest.param(
            answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"),
            "ended before",
            id="cut in a chunk",
        ),
        pytest.param(
            answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            "HTTP|ended",
            id="no chunk at all",
        ),
        pytest.param(answering(b"garbage hidden\r\n\r\n"), "no valid HTTP", id="garbage status line"),
        pytest.param(answering(b"\x16\x03\x01\x02\x00\x01\x00"), "HTTP|answer", id="binary garbage"),
        pytest.param(
            answering(b"HTTP/1.1 200 OK\r\n" + MANY_HEADERS + b"\r\n"), "no valid HTTP", id="200 kB of headers"
        ),
    ],
)
async def test_a_broken_answer_is_unanswered(behave: Behaviour, why: str) -> None:
    """F46, F59: whatever breaks after the request left may have taken effect; the error names no secret."""
    with pytest.raises(PushUnanswered, match=why) as caught:
        await exchange(behave)
    assert "hidden" not in str(caught.value)


async def test_a_reset_after_the_request_is_no_connect_error() -> None:
    """Who takes it for one sends the same messages again, believing that they never arrived."""
    async with serving(resets) as server:
        transport = AiohttpTransport()
        with pytest.raises((httpx.ReadError, httpx.WriteError)):
            await transport.handle_async_request(push(server.url()))
        await transport.aclose()
    assert server.bodies == [b"{}"]


async def test_silence_ends_at_the_deadline() -> None:
    """F41: a black hole behind an open connection is unknown."""
    with pytest.raises(PushUnanswered, match=r"no complete answer within 0\.2 s"):
        await exchange(deaf, deadline_s=0.2)


async def test_a_drip_ends_at_the_deadline() -> None:
    """F42: the deadline is total; each byte that arrives does not start it anew."""
    start = time.monotonic()
    with pytest.raises(PushUnanswered):
        await exchange(drips, deadline_s=0.7)
    assert 0.6 < time.monotonic() - start < 2


async def test_a_body_that_drips_ends_at_the_deadline() -> None:
    """F42 behind the headers: the deadline covers the body too."""

    async def body_drips(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await peer.send(b" ")
            await asyncio.sleep(0.2)

    with pytest.raises(PushUnanswered, match="within"):
        await exchange(body_drips, deadline_s=0.5)


async def test_a_huge_answer_is_not_read_to_its_end() -> None:
    """F48: reading stops at the limit and the connection is closed on the sender."""
    written = 0

    async def huge(peer: Peer) -> None:
        nonlocal written
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
        for _ in range(500):
            await peer.send(b" " * 100_000)
            written += 100_000

    with pytest.raises(PushUnanswered, match="more than 65536 bytes"):
        await exchange(huge)
    assert written < 20_000_000


async def test_an_answer_of_just_the_limit_is_read() -> None:
    """The bound is 64 KiB, not a byte less."""
    body = b" " * MAX_ANSWER_BYTES
    answer = await exchange(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)))
    assert answer.body == body


async def test_an_early_answer_to_a_large_request_is_never_taken_for_not_sent() -> None:
    """A server that refuses before it has read everything has still been reached."""

    async def hasty(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async with serving(hasty) as server, pushing() as client:
        with suppress(PushUnanswered):
            assert (await client.exchange(push(server.url(), b" " * 900_000))).status == 413


# --- never twice -------------------------------------------------------------------------------------------------


async def test_a_reused_connection_that_closes_on_the_request_is_not_tried_again() -> None:
    """F58: aiohttp repeats idempotent requests by itself; a push must reach the server at most once."""

    async def one_then_close(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()

    async with serving(one_then_close) as server, pushing() as client:
        await client.exchange(push(server.url(), b"first"))
        with pytest.raises(PushUnanswered):
            await client.exchange(push(server.url(), b"second"))
    assert server.bodies == [b"first", b"second"]
    assert server.connections == 1


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_connection_that_the_server_closed_meanwhile_sends_nothing_twice(*, reset: bool) -> None:
    """F58: the next push takes a new connection or is unanswered; none reaches the server twice."""

    async def one_request(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        if reset:
            peer.reset()

    bodies = [b"push %d" % number for number in range(30)]
    async with serving(one_request) as server, pushing() as client:
        for body in bodies:
            with suppress(PushUnanswered):
                await client.exchange(push(server.url(), body))
    assert len(server.bodies) == len(set(server.bodies))
    assert set(server.bodies) <= set(bodies)


async def test_a_stray_answer_is_not_taken_for_the_next_ones() -> None:
    """Bytes that came while nobody had asked belong to no push: a refusal must not read as delivered."""
    strayed: list[bool] = []

    async def stray(peer: Peer) -> None:
        await peer.request()
        await peer.send(REFUSED if strayed else OK)
        if not strayed:
            strayed.append(True)
            await wait_until(lambda: bool(idle()), "the connection to be idle")
            await peer.send(OK)
        await peer.reader.read()

    transport = AiohttpTransport()

    def idle() -> list[bool]:
        session = transport._session
        pools = [] if session is None or session.connector is None else session.connector._conns.values()
        return [protocol.should_close for pool in pools for protocol, _ in pool]

    async with serving(stray) as server, pushing(transport) as client:
        await client.exchange(push(server.url(), b"first"))
        await wait_until(lambda: any(idle()), "the stray answer")
        answer = await client.exchange(push(server.url(), b"second"))
    assert answer.body == b'{"code":6451000}'
    assert server.connections == 2


async def test_a_connection_is_used_again() -> None:
    """Ten pushes in a row take one connection."""
    async with serving(answering(*[OK] * 10)) as server, pushing() as client:
        for _ in range(10):
            await client.exchange(push(server.url()))
    assert server.connections == 1


# --- answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        pytest.param(OK, 200, b'{"code":0}', id="plain"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", id="no content"),
        pytest.param(b'HTTP/1.0 200 OK\r\n\r\n{"code":0}', 200, b'{"code":0}', id="HTTP/1.0"),
        pytest.param(b'HTTP/1.1 200 OK\r\n\r\n{"co', 200, b'{"co', id="cut without a length"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b'{"code":0}', id="100 before"),
        pytest.param(
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n{"code":0}\r\n0\r\nX-Sum: 1\r\n\r\n',
            200,
            b'{"code":0}',
            id="chunked with a trailer",
        ),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 101, b"", id="101"
        ),
    ],
)
async def test_an_answer_in_an_unusual_form_is_read(raw: bytes, status: int, body: bytes) -> None:
    """F47, F59: what HTTP allows arrives as it is; whether it means anything is the channel's to say."""
    answer = await exchange(answering(raw))
    assert (answer.status, answer.body) == (status, body)


async def test_header_names_are_in_lower_case() -> None:
    """A channel finds Retry-After however the server spells it."""
    answer = await exchange(answering(b"HTTP/1.1 429 Slow\r\nRETRY-AFTER: 7\r\nContent-Length: 0\r\n\r\n"))
    assert dict(answer.headers) == {"retry-after": "7", "content-length": "0"}


async def test_a_compressed_answer_is_asked_against_and_not_decoded() -> None:
    """F48: no gzip bomb can unfold; the channel finds the bytes unreadable and the push unknown."""
    packed = gzip.compress(b'{"code":0}')
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with serving(answering(head + packed)) as server, pushing() as client:
        answer = await client.exchange(push(server.url()))
    assert b"\r\naccept-encoding: identity\r\n" in server.heads[0].lower()
    assert answer.body == packed
    assert Cinnox(base_url="http://x", app_id="a", token="t").read(answer).outcome is Outcome.UNKNOWN


async def test_a_redirect_is_not_followed() -> None:
    """F55: no other host ever sees the token."""
    async with serving(answering(OK)) as other:
        head = b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % other.url().encode()
        answer = await exchange(answering(head))
    assert answer.status == 302
    assert other.connections == 0


async def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY on a host must not lead pushes and their token elsewhere."""
    async with serving(answering(OK)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url())
        monkeypatch.setenv("http_proxy", proxy.url())
        assert (await exchange(answering(OK))).status == 200
    assert proxy.connections == 0


async def test_a_request_arrives_as_it_was_built() -> None:
    """Path escapes, headers and body are httpx's to say."""
    request = Cinnox(base_url="http://x", app_id="a/b c", token="secret").request("room", b"", [b'"hi"'])
    async with serving(answering(OK)) as server, pushing() as client:
        request.url = request.url.copy_with(host="127.0.0.1", port=server.port)
        await client.exchange(request)
    first, *lines = server.heads[0].decode().strip().split("\r\n")
    assert first == "POST /v1/api/apps/a%2Fb%20c/message-push HTTP/1.1"
    sent = [f"{name}: {value}" for name, value in request.headers.multi_items()]
    assert sorted(line.lower() for line in lines) == sorted(line.lower() for line in sent)
    assert server.bodies == [b'{"roomID":"room","messages":[{"type":"text","text":"hi"}]}']


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_bare_request_gets_no_headers_of_aiohttp(method: str) -> None:
    """No user agent, no types, no compression that nobody asked for, and no escape is decoded on the way."""
    async with serving(answering(OK)) as server, pushing() as client:
        request = httpx.Request(method, f"http://127.0.0.1:{server.port}/a%2Fb%7Ec")
        await client.exchange(request)
    first, *lines = server.heads[0].decode().strip().split("\r\n")
    assert first == f"{method} /a%2Fb%7Ec HTTP/1.1"
    assert sorted(line.split(":")[0].lower() for line in lines) == sorted(request.headers)


async def test_a_header_that_would_be_two_does_not_leave() -> None:
    """Settings refuse such a token; were one to come here, no header of its own would reach the server."""
    async with serving(answering(OK)) as server, pushing() as client:
        request = push(server.url())
        request.headers["authorization"] = "Bearer a\r\nX-Injected: b"
        with pytest.raises(PushUnanswered, match="could not be written"):
            await client.exchange(request)
    assert server.heads == []


@pytest.mark.parametrize(
    "error",
    [
        HttpProcessingError(code=400),
        aiohttp.ClientError(),
        aiohttp.ClientConnectionError(),
        aiohttp.ClientConnectionResetError(),
        aiohttp.ClientPayloadError(),
        aiohttp.ServerDisconnectedError(),
        aiohttp.SocketTimeoutError(),
        OSError("unknown"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_no_error_of_aiohttp_leaves_the_transport(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Whatever aiohttp raises outside its connector, also what no server here provokes, is an unanswered push."""
    monkeypatch.setattr(aiohttp.ClientRequest, "send", AsyncMock(side_effect=error))
    with pytest.raises(PushUnanswered, match="the "):
        await exchange(answering(OK))


# --- as a transport of httpx -------------------------------------------------------------------------------------


async def test_the_transport_keeps_httpx_timeouts() -> None:
    """Whoever puts an httpx client in front gets httpx's own timeout errors, by stage."""
    async with serving(deaf) as server, httpx.AsyncClient(transport=AiohttpTransport(), timeout=0.2) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(server.url(), content=b"{}")
        server.scheme = "https"
        with pytest.raises(httpx.ConnectTimeout):
            await client.post(server.url(), content=b"{}")


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_cancelled_push_stays_cancelled(scheme: str) -> None:
    """A stop of the worker is no timeout: cancellation passes through, while connecting and while waiting."""
    async with serving(deaf) as server, pushing() as client:
        server.scheme = scheme
        task = asyncio.create_task(client.exchange(push(server.url())))
        await wait_until(lambda: server.connections == 1, "the connection")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_any_transport_of_httpx_serves() -> None:
    """A handler function is the whole fake."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json={"code": 0, "path": request.url.path}))
    async with pushing(transport) as client:
        answer = await client.exchange(push("http://x/push"))
    assert answer == Answer(200, answer.headers, b'{"code":0,"path":"/push"}')


async def test_a_transport_that_does_not_tell_its_stage_is_unanswered_at_the_deadline() -> None:
    """Only who says that nothing was sent is believed."""

    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with pushing(httpx.MockTransport(never), deadline_s=0.05) as client:
        with pytest.raises(PushUnanswered):
            await client.exchange(push("http://x/push"))
