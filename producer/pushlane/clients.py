"""Creates the Redis clients, with their pools, timeouts and retries, and keeps them connected to the primary."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import hiredis
import redis
import redis.asyncio
from redis.asyncio import connection as asynchronous
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from pushlane.address import Address, parse
from pushlane.handshake import explaining

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CONNECTIONS: Final = 50
"""Per client. Further calls wait for a free connection; redis-py's default pool refuses the 101st."""
_ELSEWHERE: Final = ("READONLY", "MASTERDOWN", "NOREPLICAS")
"""Errors of a server that is not, or soon will not be, the primary."""
_AGAIN: Final = (redis.ConnectionError, redis.exceptions.ReadOnlyError, redis.exceptions.MasterDownError)
"""Errors after which a call is retried on a new connection: nothing was done, or retrying does nothing twice."""
UNANSWERED: Final = (redis.RedisError, OSError, RuntimeError)
"""What a call may raise while Redis is unavailable or unreachable. uvloop raises a bare RuntimeError if a connection is
reset while it is being written (seen under a storm of CLIENT KILL)."""
_CLUSTER: Final = ("MOVED", "ASK", "CROSSSLOT", "CLUSTERDOWN", "TRYAGAIN")


def connect(redis_url: str, *, timeout: float) -> redis.Redis:
    """A blocking client that returns bytes and connects on its first call.

    A call is retried once on a new connection if the pooled one was dead or its server is not the primary; a call that
    timed out is not retried.

    Args:
        redis_url: The address; of its parameters, only the database and the TLS options count.
        timeout: Seconds to wait for a free connection, for connecting and for each answer.

    Raises:
        ValueError: The address is invalid.
    """
    pool: redis.BlockingConnectionPool = redis.BlockingConnectionPool(  # type: ignore[no-untyped-call] # redis-py gives it no types
        **_of_address(parse(redis_url), redis.Connection, redis.SSLConnection, redis.UnixDomainSocketConnection),
        max_connections=MAX_CONNECTIONS,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 1, supported_errors=_AGAIN),
    )
    return redis.Redis.from_pool(pool)


def connect_async(redis_url: str, *, timeout: float | None, connect_timeout: float) -> redis.asyncio.Redis:
    """``connect`` for one event loop; without a ``timeout``, callers have their own around each call."""
    pool: redis.asyncio.BlockingConnectionPool = redis.asyncio.BlockingConnectionPool(
        **_of_address(
            parse(redis_url),
            asynchronous.Connection,
            asynchronous.SSLConnection,
            asynchronous.UnixDomainSocketConnection,
        ),
        max_connections=MAX_CONNECTIONS,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=connect_timeout,
        retry=AsyncRetry(NoBackoff(), 1, supported_errors=_AGAIN),
    )
    return redis.asyncio.Redis.from_pool(pool)


def _of_address(address: Address, tcp: type, tls: type, unix: type) -> Mapping[str, Any]:
    where: dict[str, Any] = {"username": address.username, "password": address.password, "db": address.db}
    if address.path:
        return {**where, "connection_class": to_primary(unix), "path": address.path}
    where |= {"host": address.host, "port": address.port}
    if address.tls is None:
        return {**where, "connection_class": to_primary(tcp)}
    return {**where, "connection_class": to_primary(tls), **address.tls}


@cache
def to_primary(kind: type) -> type:
    """A redis-py connection class that reconnects after its server answered that it is not the primary.

    Connections that survive a failover still lead to the old primary: a proxy or a service address in between routes
    only new ones to the new primary. redis-py closes a marked connection once its call, or its whole pipeline, is done.
    """
    mixin = _AsyncToPrimary if issubclass(kind, asynchronous.AbstractConnection) else _ToPrimary
    return type(kind.__name__, (mixin, *explaining(kind), kind), {})


class _ToPrimary:
    def read_response(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 # redis-py's signature
        try:
            return super().read_response(*args, **kwargs)  # type: ignore[misc] # the class it is mixed into has it
        except redis.ResponseError as error:
            _look_at(error, self)
            raise


class _AsyncToPrimary:
    async def read_response(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 # redis-py's signature
        try:
            return await super().read_response(*args, **kwargs)  # type: ignore[misc] # the class it is mixed into has it
        except redis.ResponseError as error:
            _look_at(error, self)
            raise

    def pack_command(self, name: str, *arguments: Any) -> list[bytes]:  # noqa: ANN401 # whatever a command takes
        # Packed in C, which redis-py only does for its synchronous client: the arguments of 16 decisions take 116 us
        # in Python and 13 in C. Some of redis-py's command names have two words, such as SCRIPT LOAD.
        return [hiredis.pack_command((*name.split(), *arguments))]


def _look_at(error: redis.ResponseError, connection: Any) -> None:  # noqa: ANN401 # of either kind
    code = error.status_code or str(error).partition(" ")[0]
    if code in _CLUSTER:  # redis-py has cut the code off the message
        error.args = (f"{code} {error}: it is a node of a Redis Cluster, and this version needs a single server",)
    # A transaction is refused with EXECABORT, which quotes the reason.
    if code in _ELSEWHERE or "READONLY" in str(error):
        connection.mark_for_reconnect()
