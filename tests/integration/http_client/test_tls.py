"""The way out over TLS: whose certificate is trusted, and that a failed handshake sent nothing."""

import ssl

import pytest
import trustme
from hostile import OK, Peer, answering, deaf, serving, silent
from support.pushing import push, pushing

from pushlane_worker.channels.http import AiohttpTransport
from pushlane_worker.errors import PushNotSent


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
