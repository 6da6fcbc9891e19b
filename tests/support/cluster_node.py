"""A node of a Redis Cluster, and what it says of itself and the others."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

from redis import RedisError
from support.ports import free_port
from support.server_process import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path


class Node(ServerProcess):
    """A server of the cluster; its id stays the same over ``kill`` and ``start``."""

    def __init__(self, folder: Path, timeout_ms: int) -> None:
        self.id = secrets.token_hex(20)
        self.bus = free_port()
        words = ["--cluster-enabled", "yes", "--cluster-port", str(self.bus), "--cluster-config-file", "nodes.conf"]
        words += ["--cluster-node-timeout", str(timeout_ms), "--repl-diskless-sync-delay", "0", "--save", ""]
        words += ["--maxmemory-policy", "noeviction"]
        super().__init__(folder, words)

    def write_configuration(self, text: str) -> None:
        """What it knows of the cluster when it starts for the first time."""
        self.folder.mkdir(parents=True)
        (self.folder / "nodes.conf").write_text(text)

    def slots(self) -> list[tuple[int, int, str]]:
        """Ranges of slots with the ids of their masters, as this node sees them; empty while it does not answer."""
        with contextlib.suppress(RedisError):
            ranges = self.client.execute_command("CLUSTER SLOTS")
            return [(first, last, master[2].decode()) for first, last, master, *_ in ranges]
        return []

    def is_well(self) -> bool:
        """Whether it sees all slots served; a replica, whether it has all of its master."""
        with contextlib.suppress(RedisError):
            whole = self.client.cluster("INFO")["cluster_state"] == "ok"
            return bool(whole and self.client.info("replication").get("master_link_status", "up") == "up")
        return False

    def follows(self, master: Node) -> bool:
        """Whether it is in sync with this master; False while it does not answer."""
        with contextlib.suppress(RedisError):
            said = self.client.info("replication")
            return bool(said.get("master_port") == master.port and said["master_link_status"] == "up")
        return False

    def is_replica(self) -> bool:
        """Whether it is one; False while it does not answer."""
        with contextlib.suppress(RedisError):
            return bool(self.client.info("replication")["role"] == "slave")
        return False

    def can(self, command: str) -> bool:
        """Whether the server knows the command."""
        return self.client.execute_command("COMMAND INFO", command)[0] is not None
