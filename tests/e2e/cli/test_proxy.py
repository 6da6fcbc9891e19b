"""PROXY_URL from a user's side: a worker pushes through it, and `check` tries it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from hostile import OK, Peer, Server, serving, wait_until
from support.command import pushlane
from support.connect_proxy import CREDENTIALS, certified, forwards
from support.processes import environment, installed, running
from support.stack import channel_settings

from pushlane import AsyncProducer, RoomMessage


async def takes_all(peer: Peer) -> None:
    """An API that answers for as long as somebody asks."""
    while await peer.request():
        await peer.send(OK)


@dataclass
class Place:
    """An API with a certificate and a proxy in front of it."""

    api: Server
    proxy: Server
    trust: dict[str, str]

    def settings(self, credentials: str = CREDENTIALS) -> dict[str, str]:
        """A channel that pushes through the proxy."""
        address = f"https://localhost:{self.api.port}"
        proxy = f"http://{credentials}127.0.0.1:{self.proxy.port}"
        return {**self.trust, **channel_settings(address, proxy_url=proxy)}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """Both, and what a process needs to trust the API."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "trust.pem")
    async with serving(takes_all, certified(authority)) as api, serving(forwards) as proxy:
        yield Place(api, proxy, {"SSL_CERT_FILE": str(tmp_path / "trust.pem")})


async def test_a_worker_pushes_through_its_channels_proxy(place: Place, support: str, tmp_path: Path) -> None:
    """The setting is all that it takes; neither log nor API ever has the credentials."""
    log, env = tmp_path / "log", environment(PUSHLANE_REDIS_URL=support, **place.settings())
    words = [installed("pushlane"), "worker", "--pool", "solo"]
    with running(words, env=env, cwd=tmp_path, log=log):
        async with AsyncProducer(support) as producer:
            await producer.send("support", RoomMessage("r", "hello"))
        await wait_until(lambda: bool(place.api.bodies), "the push at the API", 30)
    assert [head.split()[0] for head in place.proxy.heads] == [b"CONNECT"]
    assert b"roxy" not in place.api.heads[0]
    assert not [secret for secret in ("dTpw", "%C3") if secret in log.read_text()]


async def test_check_goes_through_the_proxy_and_says_so(place: Place, support: str) -> None:
    """The tunnel and the certificate behind it are tried; no request is sent."""
    ended = await asyncio.to_thread(pushlane, "check", redis_url=support, settings=place.settings())
    (line,) = [line for line in ended.ok().splitlines() if "can be reached" in line]
    assert f"through the proxy http://127.0.0.1:{place.proxy.port}, TLSv1" in line
    assert place.api.heads == []


async def test_check_fails_with_what_the_proxy_says(place: Place, support: str) -> None:
    """A wrong password is a line that names the proxy and not the password."""
    settings = place.settings("u:passw0rd@")
    ended = await asyncio.to_thread(pushlane, "check", redis_url=support, settings=settings)
    assert ended.code == 1
    (line,) = [line for line in ended.out.splitlines() if line.startswith("failed")]
    assert f"through the proxy http://127.0.0.1:{place.proxy.port}" in line
    assert "407" in line
    assert "passw0rd" not in ended.out + ended.err
