"""A primary, two replicas and three sentinels."""

from __future__ import annotations

import contextlib
import secrets
from functools import partial
from typing import TYPE_CHECKING

from redis import RedisError
from support.server_process import ServerProcess
from support.waiting import wait_until

from pushlane_worker.embedded import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SERVICE = "pushlane"
QUORUM = 2
DOWN_AFTER_MS = 1000
_SETTINGS = {"down-after-milliseconds": DOWN_AFTER_MS, "failover-timeout": 6000, "parallel-syncs": 2}


class Sentinels:
    """The servers, of which the first begins as the primary, and the sentinels that watch them."""

    def __init__(self, folder: Path) -> None:
        words = ["--save", "", "--repl-diskless-sync-delay", "0", "--maxmemory-policy", "noeviction"]
        # Or the old primary of a SENTINEL FAILOVER takes writes for 10 s, until a sentinel makes it a replica.
        words += ["--min-replicas-to-write", "1"]
        self.servers = [ServerProcess(folder / f"server{number}", words) for number in range(3)]
        self.sentinels = [
            ServerProcess(folder / f"sentinel{number}", [str(folder / f"sentinel{number}.conf"), "--sentinel"])
            for number in range(3)
        ]
        self._folder = folder

    @property
    def url(self) -> str:
        """What ``PUSHLANE_REDIS_URL`` would hold."""
        return f"redis+sentinel://{','.join(sentinel.name for sentinel in self.sentinels)}/{SERVICE}/0"

    @property
    def primary(self) -> ServerProcess:
        """The one that the first sentinel names."""
        port = _named(self.sentinels[0])
        return next(server for server in self.servers if server.port == port)

    @property
    def replicas(self) -> list[ServerProcess]:
        """The others that run."""
        return [server for server in self.servers if server.runs and server is not self.primary]

    def start(self) -> None:
        """Starts all; waits until the sentinels know the replicas and each other."""
        first, *others = self.servers
        for replica in others:
            replica.words = [*replica.words, "--replicaof", f"{HOST} {first.port}"]
        for server in self.servers:
            server.start()
        self._wait_until_follow(others, first)  # a sentinel that looks earlier sees a replica 10 s later
        ids = [secrets.token_hex(20) for _ in self.sentinels]
        for number, sentinel in enumerate(self.sentinels):
            self._configure(number, ids)
            sentinel.start()
        self.wait_until_known(others)

    def _configure(self, number: int, ids: Sequence[str]) -> None:
        # What sentinels write there themselves: without it they take some seconds to find each other.
        lines = [f"sentinel myid {ids[number]}", f"sentinel monitor {SERVICE} {HOST} {self.servers[0].port} {QUORUM}"]
        lines += [f"sentinel {name} {SERVICE} {value}" for name, value in _SETTINGS.items()]
        lines += [
            f"sentinel known-sentinel {SERVICE} {HOST} {other.port} {ids[at]}"
            for at, other in enumerate(self.sentinels)
            if at != number
        ]
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"sentinel{number}.conf").write_text("\n".join(lines) + "\n")

    def fail_over(self) -> None:
        """``SENTINEL FAILOVER``: some acknowledged writes may be lost. Does not wait for its end."""
        self.sentinels[0].client.sentinel_failover(SERVICE)

    def demote(self) -> None:
        """Makes a replica the primary without losing a write or ending a connection, and tells the sentinels."""
        old, (new, *others) = self.primary, self.replicas
        old.client.execute_command("FAILOVER", "TO", HOST, new.port)
        wait_until(lambda: _role(new) == "master" and _role(old) == "slave", "the two to have changed roles")
        for other in others:
            other.client.replicaof(HOST, new.port)
        self._wait_until_follow([old, *others], new)
        for sentinel in self.sentinels:  # all of them first, or one tells the others of the old primary
            sentinel.client.sentinel_remove(SERVICE)
        for sentinel in self.sentinels:
            sentinel.client.sentinel_monitor(SERVICE, HOST, new.port, QUORUM)
            for name, value in _SETTINGS.items():
                sentinel.client.sentinel_set(SERVICE, name, value)

    def wait_for_primary_other_than(self, old: ServerProcess) -> None:
        """Waits until every sentinel names another one, and that one is the primary."""
        for sentinel in self.sentinels:
            wait_until(partial(_names_another, sentinel, old), f"{sentinel.name} to name another primary")
        wait_until(lambda: _role(self.primary) == "master", "the new primary")

    def restart(self, server: ServerProcess) -> None:
        """Starts a killed one; waits until the sentinels have made it a replica that is in sync."""
        server.start()
        wait_until(lambda: _role(server) == "slave", f"{server.name} to be a replica")
        self.wait_until_replicated()

    def wait_until_replicated(self) -> None:
        """Waits until every other running server has all of the primary, and the sentinels know it."""
        self._wait_until_follow(self.replicas, self.primary)
        self.wait_until_known(self.replicas)

    def wait_until_known(self, replicas: Sequence[ServerProcess]) -> None:
        """Waits until the sentinels know so many replicas, and each other."""
        for sentinel in self.sentinels:
            wait_until(partial(_knows_all, sentinel, len(replicas)), f"{sentinel.name} to know all")

    @staticmethod
    def _wait_until_follow(replicas: Sequence[ServerProcess], primary: ServerProcess) -> None:
        for replica in replicas:
            wait_until(partial(_follows, replica, primary), f"{replica.name} to be in sync")


def _follows(replica: ServerProcess, primary: ServerProcess) -> bool:
    with contextlib.suppress(RedisError):
        said = primary.client.info("replication")
        known = (said[f"slave{number}"] for number in range(said["connected_slaves"]))
        return any(one["port"] == replica.port and one["state"] == "online" for one in known)
    return False


def _role(server: ServerProcess) -> str | None:
    with contextlib.suppress(RedisError):
        return str(server.client.info("replication")["role"])
    return None


def _named(sentinel: ServerProcess) -> int:
    _, port = sentinel.client.sentinel_get_master_addr_by_name(SERVICE)
    return int(port)


def _names_another(sentinel: ServerProcess, old: ServerProcess) -> bool:
    return _named(sentinel) != old.port


def _knows_all(sentinel: ServerProcess, replicas: int) -> bool:
    with contextlib.suppress(RedisError):
        # In two words, as redis-py's own method takes any number of sentinels for none.
        usable = sentinel.client.execute_command("SENTINEL", "CKQUORUM", SERVICE).startswith(b"OK 3 ")
        well = [known for known in sentinel.client.sentinel_slaves(SERVICE) if known["flags"] == "slave"]
        return usable and len(well) >= replicas
    return False


@contextlib.contextmanager
def sentinels(folder: Path) -> Iterator[Sentinels]:
    """All of them, running."""
    made = Sentinels(folder)
    try:
        made.start()
        yield made
    finally:
        for server in (*made.sentinels, *made.servers):
            server.close()
