"""The way out against servers that misbehave: what is an answer, and whose."""

import asyncio
import gzip
import tracemalloc
import zlib
from contextlib import suppress

import pytest
import uvloop
from hostile import OK, Peer, answering, serving, wait_until
from support.channels import channel_with
from support.pushing import exchange, push, pushing

from pushlane.outcome import Outcome
from pushlane_worker.channels.cinnox import Cinnox
from pushlane_worker.channels.http import AiohttpTransport
from pushlane_worker.errors import PushNotSent, PushUnanswered


def encoded(coding: str, body: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer that calls its body compressed."""
    head = b"HTTP/1.1 %b\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (status, coding.encode(), len(body)) + body


REFUSED = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"code":6451000}'

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


def test_a_server_that_speaks_first_is_met_once_a_push() -> None:
    """It is no HTTP server: nothing was sent. In the loop of workers that shows as soon as the connection stands."""

    async def greet(peer: Peer) -> None:
        await peer.send(b"220 mail.example.com ESMTP\r\n")
        await peer.reader.read()

    async def try_to_push() -> int:
        async with serving(greet) as server, pushing() as client:
            with pytest.raises(PushNotSent):
                await client.exchange(push(server.url()))
        return server.connections

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(try_to_push()) == 1


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


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(b'{"code":0}', mtime=0)),
        ("GZIP", gzip.compress(b'{"code":0}', mtime=0)),
        ("deflate", zlib.compress(b'{"code":0}')),
    ],
)
async def test_a_compressed_answer_is_asked_against_and_read_all_the_same(coding: str, packed: bytes) -> None:
    """Gateways compress what nobody asked them to: unread, each such delivery would be repeated."""
    async with serving(answering(encoded(coding, packed))) as server, pushing() as client:
        answer = await client.exchange(push(server.url()))
    assert b"\r\naccept-encoding: identity\r\n" in server.heads[0].lower()
    assert answer.body == b'{"code":0}'
    assert Cinnox(channel_with(), lambda: "t").read(answer).outcome is Outcome.DELIVERED


async def test_a_compressed_bomb_unfolds_no_further_than_the_limit() -> None:
    """F48: 50 MB in 50 kB costs no more than any answer that is too long."""
    bomb = gzip.compress(b" " * 50_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(PushUnanswered, match="more than 65536 bytes"):
            await exchange(answering(encoded("gzip", bomb)))
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


async def test_a_status_speaks_also_where_the_compressed_body_is_damaged() -> None:
    """What cannot be decoded arrives as it came, and the channel judges by the status."""
    answer = await exchange(answering(encoded("gzip", b"no gzip", b"429 Slow")))
    assert (answer.status, answer.body) == (429, b"no gzip")


async def test_a_redirect_is_not_followed() -> None:
    """F55: no other host ever sees the token."""
    async with serving(answering(OK)) as other:
        head = b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % other.url().encode()
        answer = await exchange(answering(head))
    assert answer.status == 302
    assert other.connections == 0
