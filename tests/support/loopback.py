"""No network but this machine: a test that reaches further fails at once, not by a timeout on somebody's train.

It guards Python's own sockets, asyncio's among them. uvloop connects in C and is not seen.
"""

import ipaddress
import socket

import pytest

_Address = tuple[object, ...] | str | bytes


class NetworkForbiddenError(AssertionError):
    """A test tried to leave the machine."""


def _check(family: int, address: _Address) -> None:
    if family not in (socket.AF_INET, socket.AF_INET6):
        return
    host = str(address[0])
    if host in {"localhost", ""}:
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise NetworkForbiddenError(f"tests reach nothing but loopback, and this one tried {address!r}")


def forbid_network(patch: pytest.MonkeyPatch) -> None:
    """Guard every socket of this process, also those of modules that imported the class before."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded_connect(self: socket.socket, address: _Address, /) -> None:
        _check(self.family, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: _Address, /) -> int:
        _check(self.family, address)
        return connect_ex(self, address)

    patch.setattr(socket.socket, "connect", guarded_connect)
    patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
