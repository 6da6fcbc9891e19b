"""Checks whether a Redis is fit to hold a queue, and logs it if it is not.

A worker does not start on an unfit server. A server that becomes unfit later, or was unreachable at the start, is
reported once a minute until it is fixed. Stopping would save nothing: an evicting Redis drops waiting messages, and a
running worker reduces their number.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from redis.exceptions import NoPermissionError

from pushlane.cluster.nonblocking import AsyncCluster
from pushlane.connections import UNANSWERED
from pushlane.service.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import redis.asyncio

SUPPORTED: Final = "Redis 7.0 or newer, or Valkey 7.2 or newer"
_FORKS: Final = "min-replicas-to-write is 0: a failover by hand loses up to 10 s of messages; set it to 1"
_LEAST_MAJOR: Final = 7
"""Of both: scripts that declare their flags (``#!lua``) came with Redis 7.0, and Valkey began with 7.2."""
_LOOKALIKES: Final = {"dragonfly_version": "Dragonfly", "garnet_version": "Garnet", "kvrocks_version": "Kvrocks"}
"""Fields of servers that name a version of Redis and do not run its code, so that the number says nothing."""
READ_ONLY: Final = "is a read-only replica; the address must lead to its primary"
"""This may be temporary, during a failover."""
LOOK_EACH_S: Final = 60.0
STEP_S: Final = 1.0
SECTIONS: Final = ("server", "replication")
"""The parts of ``INFO`` that ``server_problem`` reads; the server needs about 40 us for them."""


class Finding(NamedTuple):
    """One line of a report."""

    verdict: Literal["ok", "warning", "failed"]
    what: str


async def read_info(client: redis.asyncio.Redis, *sections: str) -> list[Mapping[str, Any]]:
    """``INFO`` of the server, or of each primary of the cluster."""
    servers = await client.primaries() if isinstance(client, AsyncCluster) else [client]
    return [await server.info(*sections) for server in servers]


def server_problem(info: Mapping[str, Any], *, of_cluster: bool = False) -> str | None:
    """Why this server, or this node of a cluster, cannot hold a queue at all; None if it can."""
    for field, name in _LOOKALIKES.items():
        if field in info:
            return f"is {name}; Pushlane needs {SUPPORTED}"
    if int(_version(info).partition(".")[0]) < _LEAST_MAJOR:
        return f"is version {_version(info)}; Pushlane needs {SUPPORTED}"
    if (problem := _mode_problem(_mode(info), of_cluster=of_cluster)) is not None:
        return problem
    if info.get("role") == "slave":
        return READ_ONLY
    return None


def _version(info: Mapping[str, Any]) -> str:
    """The server's own version: a Valkey also names the version of Redis that it comes from."""
    return str(info.get("valkey_version") or info.get("redis_version", "0"))


def _mode_problem(mode: str | None, *, of_cluster: bool) -> str | None:
    if mode == "cluster":
        return None if of_cluster else "is a node of a Redis Cluster; write the address as redis+cluster://…"
    if mode == "sentinel":
        return "is a sentinel; write the address as redis+sentinel://…/SERVICE/0"
    return None if mode in {None, "standalone"} else f"runs as a {mode}, and Pushlane needs a server or a cluster"


def _mode(info: Mapping[str, Any]) -> str | None:
    return info.get("server_mode") or info.get("redis_mode")  # Valkey's name and Redis's


def broker_findings(info: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with Celery's broker, by its ``INFO``."""
    if (problem := server_problem(info)) is not None:
        yield Finding("failed", f"broker: it {problem}")
    if (policy := info.get("maxmemory_policy", "noeviction")) != "noeviction":
        yield Finding("failed", f"broker: maxmemory-policy is {policy}, which drops tasks; set it to noeviction")


def server_findings(info: Mapping[str, Any], *, of_cluster: bool = False) -> Iterator[Finding]:
    """Checks the ``INFO`` of a server, or of a node of a cluster."""
    if (problem := server_problem(info, of_cluster=of_cluster)) is not None:
        yield Finding("failed", f"Redis: it {problem}")
    else:
        yield Finding("ok", f"Redis: {info.get('server_name', 'redis')} {_version(info)}")
    if _mode(info) == "sentinel":  # it holds no data
        return
    policy = info.get("maxmemory_policy")
    if policy == "noeviction":
        yield Finding("ok", "Redis: maxmemory-policy noeviction")
    elif policy is not None:
        yield Finding("failed", f"Redis: maxmemory-policy is {policy}, which drops messages; set it to noeviction")
    if info.get("connected_slaves") and "min_slaves_good_slaves" not in info and not of_cluster:
        yield Finding("warning", f"Redis: {_FORKS}")
    if info.get("aof_enabled"):
        yield Finding("ok", "Redis: append-only file on")
    else:
        yield Finding("warning", "Redis: no append-only file: messages are lost when it restarts; set appendonly yes")


class Watch:
    """Logs what is wrong with a server: a failure at every check, a warning only when it is new."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._redis = client
        self._due = 0.0
        self._warned: frozenset[str] = frozenset()

    async def step(self) -> None:
        """Checks if it is time to, then sleeps for a second. Ignores an unreachable Redis: others log it."""
        if time.monotonic() >= self._due:
            with contextlib.suppress(*UNANSWERED):
                await self.look()
                self._due = time.monotonic() + LOOK_EACH_S
        await asyncio.sleep(STEP_S)

    async def look(self) -> None:
        """Checks once. Raises redis.RedisError, OSError if the server does not answer."""
        try:
            infos, of_cluster = await read_info(self._redis), isinstance(self._redis, AsyncCluster)
            findings = list(
                dict.fromkeys(one for info in infos for one in server_findings(info, of_cluster=of_cluster))
            )
        except NoPermissionError as error:
            findings = [Finding("warning", f"Redis: cannot check its settings: {error}")]
        for verdict, what in findings:
            if verdict == "failed":
                logger().error("redis.unfit", problem=what)
            elif verdict == "warning" and what not in self._warned:
                logger().warning("redis.unfit", problem=what)
        self._warned = frozenset(what for verdict, what in findings if verdict == "warning")
