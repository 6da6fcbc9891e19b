"""The way out against servers that misbehave: what is certainly not sent, and what is unknown."""

import asyncio
import socket
import time
from contextlib import suppress

import httpx
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hostile import OK, Behaviour, Peer, answering, deaf, serving, wait_until
from support.pushing import exchange, push, pushing

from pushlane_worker.channels.http import MAX_ANSWER_BYTES, AiohttpTransport, PushClient
from pushlane_worker.errors import PushNotSent, PushUnanswered


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
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 -- the same
    ) -> list[ResolveResult]:
        """Fail as a resolver does."""
        raise OSError(None, f"{host}: Name or service not known")

    async def close(self) -> None:
        """Hold nothing."""


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
        pytest.param(answering(b"HTTP/1.1 200"), "without an answer|not valid HTTP", id="cut in the status line"),
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
        pytest.param(answering(b"garbage hidden\r\n\r\n"), "not valid HTTP", id="garbage status line"),
        pytest.param(answering(b"\x16\x03\x01\x02\x00\x01\x00"), "HTTP|answer", id="binary garbage"),
        pytest.param(
            answering(b"HTTP/1.1 200 OK\r\n" + MANY_HEADERS + b"\r\n"), "not valid HTTP", id="200 kB of headers"
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
    assert time.monotonic() - start > 0.6


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
