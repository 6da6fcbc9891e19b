"""What a Redis must be to hold a queue."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

LEAST_VERSION = 7
"""Scripts that declare their flags (``#!lua``) came with Redis 7."""


class Finding(NamedTuple):
    """One line of a report."""

    verdict: Literal["ok", "warning", "failed"]
    what: str


def server_findings(info: Mapping[str, Any]) -> Iterator[Finding]:
    """What a server's ``INFO`` says of its fitness. A worker does not start on one that failed."""
    version = info.get("valkey_version") or info.get("redis_version", "0")
    new_enough = int(str(version).partition(".")[0]) >= LEAST_VERSION
    needed = "" if new_enough else f"; Pushlane needs {LEAST_VERSION} or newer"
    yield Finding("ok" if new_enough else "failed", f"Redis: {info.get('server_name', 'redis')} {version}{needed}")
    policy = info.get("maxmemory_policy")
    if policy == "noeviction":
        yield Finding("ok", "Redis: maxmemory-policy noeviction")
    else:
        yield Finding("failed", f"Redis: maxmemory-policy is {policy}, which drops messages; set it to noeviction")
    if info.get("aof_enabled"):
        yield Finding("ok", "Redis: append-only file on")
    else:
        yield Finding("warning", "Redis: no append-only file: messages are lost when it restarts; set appendonly yes")
