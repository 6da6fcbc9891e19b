"""How many connections a process holds, and which one goes when another comes.

A connection **waits** while no request of it is answered: it is silent, its head is on its way, it idles, or nobody
reads its answer. One that waits is ended for a newcomer when there is no place left: the oldest of those that have not
shown a secret, of the address that has most of them, so that whoever holds connections makes room with his own. Only if
all are at work, a newcomer is turned away.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from pushlane.callback.web import is_within

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pushlane.callback.settings import Network

SWEEP_S: Final = 0.5
"""How often connections whose time is over are looked for."""
IPV6_BITS: Final = 64
"""How much of an IPv6 address is one peer: its holder chooses the rest."""


class Holder(Protocol):
    """A connection.

    Attributes:
        known: It has shown a secret, or comes from a proxy that we trust.
        deadline: It is ended when the event loop's clock is past this.
    """

    known: bool
    deadline: float

    def end(self) -> None:
        """Ends it at once."""


@dataclass(slots=True)
class _Peer:
    """The connections of an address, and those that wait, the oldest first."""

    address: str
    trusted: bool
    count: int = 0
    strangers: dict[Holder, None] = field(default_factory=dict)
    known: dict[Holder, None] = field(default_factory=dict)


class ConnectionLimit:
    """The connections of a process. Belongs to one event loop.

    Args:
        most: How many in all.
        each: How many of one address, unless it is a trusted proxy's, which speaks for many.
        proxies: The networks of trusted proxies.
    """

    def __init__(self, most: int, each: int, proxies: Sequence[Network]) -> None:
        self._most = most
        self._each = each
        self._proxies = proxies
        self._peers: dict[str, _Peer] = {}
        self._held: dict[Holder, _Peer] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    def take(self, one: Holder, host: str) -> bool:
        """A place for a new connection from there, which waits; False if there is none."""
        address = _network(host)
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
        """A request of it is answered from now on: it stays."""
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


def _network(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and not address.ipv4_mapped:
        return str(ipaddress.ip_network((address, IPV6_BITS), strict=False))
    return host
