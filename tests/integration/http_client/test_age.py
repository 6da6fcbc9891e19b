"""The way out under a steady load: connections end of age, so that a host that has moved is followed."""

import asyncio
import socket
import time
from dataclasses import dataclass

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hostile import OK, Peer, serving, wait_until
from support.pushing import push, pushing

from pushlane_worker.channels.http import AiohttpTransport

LOAD = 8


@dataclass
class Names(AbstractResolver):
    """A resolver that one can tell where the host is."""

    address: str = "127.0.0.1"

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,
    ) -> list[ResolveResult]:
        """The one address."""
        return [ResolveResult(hostname=host, host=self.address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Hold nothing."""


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Where the transport's names point."""
    names = Names()
    monkeypatch.setattr("aiohttp.connector.DefaultResolver", lambda **_: names)
    return names


async def takes_all(peer: Peer) -> None:
    """An API that answers for as long as somebody asks, a little late: its connections are never idle."""
    while await peer.request():
        await asyncio.sleep(0.002)
        await peer.send(OK)


async def followed_after_s(names: Names, transport: AiohttpTransport, before_s: float, within_s: float) -> float:
    """Moves the host under load and returns after how many seconds the old address got its last push.

    Every push was delivered, and once.
    """
    sent, over = 0, asyncio.Event()
    async with (
        serving(takes_all) as old,
        serving(takes_all, host="127.0.0.2", port=old.port) as new,
        pushing(transport) as client,
    ):

        async def load() -> None:
            nonlocal sent
            while not over.is_set():
                sent += 1
                answer = await client.exchange(push(old.url("api.test"), b"%d" % sent))
                assert answer.status == 200

        pushers = [asyncio.create_task(load()) for _ in range(LOAD)]
        await asyncio.sleep(before_s)
        names.address, moved, last, count = "127.0.0.2", time.monotonic(), 0.0, 0
        while time.monotonic() - moved < within_s:
            if len(old.bodies) > count:
                last, count = time.monotonic() - moved, len(old.bodies)
            await asyncio.sleep(0.01)
        await wait_until(lambda: len(new.bodies) > LOAD, "pushes at the new address")
        over.set()
        await asyncio.gather(*pushers)
    assert count > 0
    bodies = [*old.bodies, *new.bodies]
    assert (len(bodies), len(set(bodies))) == (sent, sent)
    return last


async def test_a_host_that_moves_under_load_is_followed(names: Names) -> None:
    """No connection is ever idle here; without a greatest age the old address would get every push."""
    transport = AiohttpTransport(limit=LOAD, max_age_s=0.2, resolve_s=0.1)
    assert await followed_after_s(names, transport, before_s=0.1, within_s=1.2) < 1.0


@pytest.mark.long
@pytest.mark.timeout(200)
async def test_a_host_that_moves_is_followed_within_70_s(names: Names) -> None:
    """The ages that workers have: 60 s for a connection, 5 s for a name."""
    transport = AiohttpTransport(limit=LOAD)
    assert 50 < await followed_after_s(names, transport, before_s=5, within_s=75) < 70


async def test_a_young_connection_is_used_again(names: Names) -> None:
    """An age costs a handshake a minute and no more."""
    async with serving(takes_all) as server, pushing(AiohttpTransport(max_age_s=60)) as client:
        for _ in range(20):
            await client.exchange(push(server.url("api.test")))
    assert (server.connections, names.address) == (1, "127.0.0.1")
