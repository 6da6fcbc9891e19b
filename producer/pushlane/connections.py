"""redis-py's connections, so changed that each leads to the primary, whichever server that is by now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import hiredis
import redis
import redis.asyncio
from redis.asyncio import connection as asynchronous

from pushlane.asking import Asking
from pushlane.handshake import explaining
from pushlane.refusals import code_of, explain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushlane.address import Address

_ELSEWHERE: Final = ("READONLY", "MASTERDOWN", "NOREPLICAS")
"""Errors of a server that is not, or soon will not be, the primary."""
_REFUSED: Final = (redis.ResponseError, redis.AuthenticationError)
UNANSWERED: Final = (redis.RedisError, OSError, RuntimeError)
"""What a call may raise while Redis is unavailable or unreachable. uvloop raises a bare RuntimeError if a connection is
reset while it is being written (seen under a storm of CLIENT KILL)."""


def blocking(address: Address, timeout: float) -> Mapping[str, Any]:
    """The class and the arguments of blocking connections to this server, or to the primary behind these sentinels."""
    return _arguments(address, timeout, redis.Connection, redis.SSLConnection, redis.UnixDomainSocketConnection)


def nonblocking(address: Address, timeout: float) -> Mapping[str, Any]:
    """``blocking`` for asyncio."""
    return _arguments(
        address,
        timeout,
        asynchronous.Connection,
        asynchronous.SSLConnection,
        asynchronous.UnixDomainSocketConnection,
    )


def _arguments(address: Address, timeout: float, tcp: type, tls: type, unix: type) -> Mapping[str, Any]:
    where: dict[str, Any] = {"username": address.username, "password": address.password, "db": address.db}
    if address.path:
        return {**where, "connection_class": to_primary(unix), "path": address.path}
    host, port = address.nodes[0]
    where |= {"host": host, "port": port, **(address.tls or {})}
    kind = to_primary(tcp if address.tls is None else tls)
    if address.kind == "sentinel":
        return {**where, "connection_class": through_sentinels(kind), "sentinels": Sentinels(address, timeout)}
    return {**where, "connection_class": kind}


class Sentinels:
    """The sentinels of a primary."""

    def __init__(self, address: Address, timeout: float) -> None:
        failed = f"no sentinel names the primary of {address.service}"
        self._asking = Asking(failed, address.nodes, timeout, address.sentinel_login, address.tls)
        self._question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.service)

    def primary(self) -> tuple[str, int]:
        """Its host and port. Raises like ``Asking.ask``."""
        _, (host, port) = self._asking.ask(*self._question)
        return host.decode(), int(port)

    async def primary_async(self) -> tuple[str, int]:
        """``primary`` for asyncio."""
        _, (host, port) = await self._asking.ask_async(*self._question)
        return host.decode(), int(port)


def to_primary(kind: type) -> type:
    """A redis-py connection class that reconnects after its server answered that it is not the primary.

    Connections that survive a failover still lead to the old primary: a proxy or a service address in between routes
    only new ones to the new primary. redis-py closes a marked connection once its call, or its whole pipeline, is done.
    """
    mixin = _AsyncToPrimary if issubclass(kind, asynchronous.AbstractConnection) else _ToPrimary
    return type(kind.__name__, (mixin, *explaining(kind), kind), {})


def through_sentinels(kind: type) -> type:
    """A connection class that asks its argument ``sentinels`` for the primary each time that it connects."""
    mixin = _AsyncThroughSentinels if issubclass(kind, asynchronous.AbstractConnection) else _ThroughSentinels
    return type(kind.__name__, (mixin, kind), {})


class _ToPrimary:
    def read_response(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 # redis-py's signature
        try:
            return super().read_response(*args, **kwargs)  # type: ignore[misc] # the class it is mixed into has it
        except _REFUSED as error:
            raise _look_at(error, self) from None


class _AsyncToPrimary:
    async def read_response(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 # redis-py's signature
        try:
            return await super().read_response(*args, **kwargs)  # type: ignore[misc] # the class it is mixed into has it
        except _REFUSED as error:
            raise _look_at(error, self) from None

    def pack_command(self, name: str, *arguments: Any) -> list[bytes]:  # noqa: ANN401 # whatever a command takes
        # Packed in C, which redis-py only does for its synchronous client: the arguments of 16 decisions take 116 us
        # in Python and 13 in C. Some of redis-py's command names have two words, such as SCRIPT LOAD.
        return [hiredis.pack_command((*name.split(), *arguments))]


class _ThroughSentinels:
    def __init__(self, *, sentinels: Sentinels, **kwargs: Any) -> None:  # noqa: ANN401 # redis-py's
        super().__init__(**kwargs)
        self._sentinels = sentinels

    def _connect(self) -> Any:  # noqa: ANN401 # a socket
        self.host, self.port = self._sentinels.primary()
        return super()._connect()  # type: ignore[misc] # the class it is mixed into has it


class _AsyncThroughSentinels:
    def __init__(self, *, sentinels: Sentinels, **kwargs: Any) -> None:  # noqa: ANN401 # the same
        super().__init__(**kwargs)
        self._sentinels = sentinels

    async def _connect(self) -> None:
        self.host, self.port = await self._sentinels.primary_async()
        await super()._connect()  # type: ignore[misc] # the same


def _look_at(error: redis.RedisError, connection: Any) -> redis.RedisError:  # noqa: ANN401 # of either kind
    """The error as its caller gets it."""
    code = code_of(error)
    explain(error)
    # A transaction is refused with EXECABORT, which quotes the reason.
    if code in _ELSEWHERE or "READONLY" in str(error):
        connection.mark_for_reconnect()
    # redis-py has no class for it. A primary that has been replaced may answer it on each pooled connection, so the
    # call is repeated, as after READONLY: nothing was done.
    return redis.exceptions.ReadOnlyError(str(error)) if code == "NOREPLICAS" else error
