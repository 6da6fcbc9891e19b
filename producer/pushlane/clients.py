"""Creates the Redis clients, with their pools, timeouts and retries, for every form of an address."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from pushlane.address import Address, Node, parse
from pushlane.asking import Asking
from pushlane.cluster.blocking import Cluster
from pushlane.cluster.nonblocking import AsyncCluster
from pushlane.connections import blocking, nonblocking

MAX_CONNECTIONS: Final = 50
"""Per client and node. Further calls wait for a free connection; redis-py's default pool refuses the 101st."""
_AGAIN: Final = (redis.ConnectionError, redis.exceptions.ReadOnlyError, redis.exceptions.MasterDownError)
"""Errors after which a call is retried on a new connection: nothing was done, or retrying does nothing twice."""


def connect(redis_url: str, *, timeout: float) -> redis.Redis:
    """A blocking client that returns bytes and connects on its first call.

    A call is retried once on a new connection if the pooled one was dead or its server is not the primary; a call that
    timed out is not retried.

    Args:
        redis_url: The address; of its parameters, only the database, TLS and the sentinels' login count.
        timeout: Seconds to wait for a free connection, for connecting and for each answer.

    Raises:
        ValueError: The address is invalid.
    """
    address = parse(redis_url)

    def to(server: Address) -> redis.Redis:
        pool: redis.BlockingConnectionPool = redis.BlockingConnectionPool(  # type: ignore[no-untyped-call] # redis-py gives it no types
            **blocking(server, timeout),
            max_connections=MAX_CONNECTIONS,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 1, supported_errors=_AGAIN),
        )
        return redis.Redis.from_pool(pool)

    if address.kind == "cluster":
        return Cluster(_nodes(address, timeout), lambda node: to(_server(address, node)))
    return to(address)


def connect_async(redis_url: str, *, timeout: float | None, connect_timeout: float) -> redis.asyncio.Redis:
    """``connect`` for one event loop; without a ``timeout``, callers have their own around each call."""
    address = parse(redis_url)

    def to(server: Address) -> redis.asyncio.Redis:
        pool: redis.asyncio.BlockingConnectionPool = redis.asyncio.BlockingConnectionPool(
            **nonblocking(server, connect_timeout),
            max_connections=MAX_CONNECTIONS,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=connect_timeout,
            retry=AsyncRetry(NoBackoff(), 1, supported_errors=_AGAIN),
        )
        return redis.asyncio.Redis.from_pool(pool)

    if address.kind == "cluster":
        return AsyncCluster(_nodes(address, connect_timeout), lambda node: to(_server(address, node)))
    return to(address)


def _server(cluster: Address, node: Node) -> Address:
    return replace(cluster, kind="server", nodes=(node,))


def _nodes(cluster: Address, timeout: float) -> Asking:
    login = {"username": cluster.username, "password": cluster.password}
    return Asking("no node of the Redis Cluster answers", cluster.nodes, timeout, login, cluster.tls)
