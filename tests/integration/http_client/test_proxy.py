"""The way out through an HTTP proxy: what it is shown, and that nothing was sent where it makes no connection."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme
import uvloop
from hostile import OK, Behaviour, Peer, Server, answering, deaf, serving, silent
from support.connect_proxy import CREDENTIALS, SHOWN, certified, forwards
from support.pushing import push

from pushlane_worker.channels.http import AiohttpTransport, PushClient
from pushlane_worker.errors import PushNotSent, PushUnanswered
from pushlane_worker.proxy import Proxy, parse_proxy


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that no system trusts."""
    return trustme.CA()


def at(proxy: Server, credentials: str = CREDENTIALS) -> Proxy:
    """The setting that names this proxy."""
    parsed = parse_proxy(f"http://{credentials}127.0.0.1:{proxy.port}")
    assert parsed is not None
    return parsed


@asynccontextmanager
async def through(
    proxy: Proxy, authority: trustme.CA | None = None, deadline_s: float = 5
) -> AsyncIterator[PushClient]:
    """A client whose pushes go there."""
    context = ssl.create_default_context()
    if authority is not None:
        authority.configure_trust(context)
    client = PushClient(AiohttpTransport(ssl_context=context), deadline_s=deadline_s, proxy=proxy)
    try:
        yield client
    finally:
        await client.aclose()


# --- delivered ---------------------------------------------------------------------------------------------------


async def deliver(authority: trustme.CA) -> tuple[Server, Server]:
    """Ten pushes through the proxy; returns what it and the API have seen."""
    async with (
        serving(answering(*[OK] * 10), certified(authority)) as api,
        serving(forwards) as proxy,
        through(at(proxy), authority) as client,
    ):
        for number in range(10):
            answer = await client.exchange(push(api.url("localhost"), b"%d" % number))
            assert answer.body == b'{"code":0}'
    return proxy, api


def check_seen(proxy: Server, api: Server) -> None:
    """One tunnel for all, and neither side has seen what is the other's."""
    assert api.bodies == [b"%d" % number for number in range(10)]
    (head,) = proxy.heads
    assert head.startswith(b"CONNECT localhost:%d HTTP/1.1\r\n" % api.port)
    assert b"hidden" not in head
    assert not [head for head in api.heads if b"proxy" in head.lower()]


async def test_pushes_go_through_one_tunnel(authority: trustme.CA) -> None:
    """The token is the API's to see, the credentials the proxy's, and the tunnel is kept."""
    check_seen(*await deliver(authority))


def test_pushes_go_through_a_tunnel_in_the_workers_own_loop(authority: trustme.CA) -> None:
    """Workers run uvloop, whose way to TLS within a connection is another."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        check_seen(*runner.run(deliver(authority)))


async def test_an_address_without_tls_is_asked_of_the_proxy_itself() -> None:
    """No tunnel then: the request itself carries the credentials, and what the proxy answers is the answer."""
    async with serving(answering(OK)) as proxy, through(at(proxy)) as client:
        answer = await client.exchange(push("http://api.invalid/push"))
    assert answer.body == b'{"code":0}'
    assert proxy.heads[0].startswith(b"POST http://api.invalid/push HTTP/1.1\r\n")
    assert SHOWN in proxy.heads[0]


# --- certainly not sent ------------------------------------------------------------------------------------------


async def hangs_up(peer: Peer) -> None:
    """Take the CONNECT and close."""
    await peer.reader.readuntil(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("behave", "why"),
    [
        pytest.param(answering(b"HTTP/1.1 407 hidden\r\nContent-Length: 0\r\n\r\n"), "HTTP 407 to CONNECT", id="407"),
        pytest.param(answering(b"HTTP/1.1 502 hidden\r\nContent-Length: 0\r\n\r\n"), "HTTP 502 to CONNECT", id="502"),
        pytest.param(answering(b"HTTP/1.1 302 x\r\nLocation: hidden\r\n\r\n"), "HTTP 302 to CONNECT", id="302"),
        pytest.param(answering(b"hidden\r\n\r\n"), "its answer to CONNECT is not valid HTTP", id="garbage"),
        pytest.param(hangs_up, "it closed the connection", id="closed"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\n\r\nhidden"), "localhost", id="no TLS behind it"),
        pytest.param(silent, "no connection within 0.5 s", id="silent"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\n\r\n"), "through the proxy", id="closed in the handshake"),
    ],
)
async def test_a_proxy_that_makes_no_connection_sent_nothing(behave: Behaviour, why: str) -> None:
    """Whatever it answers to CONNECT, the push stayed here; the error names the proxy and no secret."""
    deadline_s = 0.5 if behave is silent else 10.0
    async with serving(behave) as proxy, through(at(proxy), deadline_s=deadline_s) as client:
        with pytest.raises(PushNotSent, match=why) as caught:
            await client.exchange(push("https://localhost:1/push?key=hidden"))
    said = str(caught.value)
    assert why.startswith("no connection") or f"through the proxy http://127.0.0.1:{proxy.port}: " in said
    assert not [secret for secret in ("hidden", "dTpw", "u:", "Authorization") if secret in said]


async def test_wrong_credentials_sent_nothing(authority: trustme.CA) -> None:
    """The API is not even connected to."""
    async with (
        serving(deaf, certified(authority)) as api,
        serving(forwards) as proxy,
        through(at(proxy, "u:other@"), authority) as client,
    ):
        with pytest.raises(PushNotSent, match="HTTP 407 to CONNECT"):
            await client.exchange(push(api.url("localhost")))
    assert api.connections == 0


async def test_a_proxy_that_is_not_there_sent_nothing() -> None:
    """F40 once more, a machine nearer."""
    async with serving(silent) as gone:
        pass
    async with through(at(gone)) as client:
        with pytest.raises(PushNotSent, match=f"through the proxy http://127.0.0.1:{gone.port}: "):
            await client.exchange(push("https://localhost:1/push"))


# --- unanswered --------------------------------------------------------------------------------------------------


async def test_what_breaks_behind_the_tunnel_is_unanswered(authority: trustme.CA) -> None:
    """Once the tunnel stands, a broken push is as unknown as without a proxy."""
    async with (
        serving(answering(b""), certified(authority)) as api,
        serving(forwards) as proxy,
        through(at(proxy), authority) as client,
    ):
        with pytest.raises(PushUnanswered, match="without an answer"):
            await client.exchange(push(api.url("localhost"), b"once"))
    assert api.bodies == [b"once"]
