"""Limits the connections of a process, and chooses which one is closed for a new one.

A connection **waits** while none of its requests is being answered: it is silent, its head is arriving, it idles, or
its peer does not read the answer. If there is no room for a new connection, a waiting one is closed: the oldest of
those that have not shown a secret, from the address that has the most of them, so that a peer that hoards connections
loses its own. A new connection is only turned away if none waits.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from pushlane.callback.http.web import is_within

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pushlane.callback.settings import Network

SWEEP_S: Final = 0.5
"""How often connections past their deadline are looked for."""
IPV6_BITS: Final = 64
"""How many bits of an IPv6 address identify a peer: it chooses the rest itself."""


class Holder(Protocol):
    """A connection.

    Attributes:
        known: It has shown a secret, or comes from a proxy that we trust.
        deadline: It is closed when the event loop's clock is past this.
    """

    known: bool
    deadline: float

    def end(self) -> None:
        """Closes it at once."""


@dataclass(slots=True)
class _Peer:
    """The connections of an address, and which of them wait, the oldest first."""

    address: str
    trusted: bool
    count: int = 0
    strangers: dict[Holder, None] = field(default_factory=dict)
    known: dict[Holder, None] = field(default_factory=dict)


class ConnectionLimit:
    """The connections of a process. Belongs to one event loop.

    Args:
        most: How many in total.
        each: How many from one address, unless it is a trusted proxy, which stands for many peers.
        proxies: The networks of trusted proxies.
    """

    def __init__(self, most: int, each: int, proxies: Sequence[Network]) -> None:
        self._most = most
        self._each = each
        self._proxies = proxies
        self._peers: dict[str, _Peer] = {}
        self._held: dict[Holder, _Peer] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    def admit(self, one: Holder, host: str) -> bool:
        """Admits a new connection from this host, which waits at first; False if there is no room."""
        address = network_of(host)
        peer = self._peers.get(address) or _Peer(address, is_within(host, self._proxies))
        if not peer.trusted and peer.count >= self._each:
            has_room = self._evict([peer])
        else:
            has_room = len(self._held) < self._most or self._evict(self._peers.values())
        if not has_room:
            return False
        self._peers[address] = peer
        peer.count += 1
        self._held[one] = peer
        one.known = peer.trusted
        self.wait(one)
        if self._sweeping is None:
            self._sweep()
        return True

    def work(self, one: Holder) -> None:
        """One of its requests is being answered from now on: it stays."""
        if peer := self._held.get(one):
            peer.strangers.pop(one, None)
            peer.known.pop(one, None)

    def wait(self, one: Holder) -> None:
        """It waits from now on."""
        if peer := self._held.get(one):
            (peer.known if one.known else peer.strangers)[one] = None

    def leave(self, one: Holder) -> None:
        """It is gone."""
        self.work(one)
        if peer := self._held.pop(one, None):
            peer.count -= 1
            if not peer.count:
                del self._peers[peer.address]

    def _evict(self, peers: Collection[_Peer]) -> bool:
        for crowd in (max((peer.strangers for peer in peers), key=len), max((peer.known for peer in peers), key=len)):
            if crowd:
                oldest = next(iter(crowd))
                self.leave(oldest)
                oldest.end()
                return True
        return False

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for one in [one for one in self._held if one.deadline < now]:
            one.end()
        self._sweeping = loop.call_later(SWEEP_S, self._sweep) if self._held else None


def network_of(host: str) -> str:
    """What identifies a peer: an IPv6 address's network, any other address itself."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and not address.ipv4_mapped:
        return str(ipaddress.ip_network((address, IPV6_BITS), strict=False))
    return host
