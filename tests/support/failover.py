"""A primary and its replica behind one address, which a failover moves for new connections alone."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from redis import Redis
from support.proxy import Proxy, proxy
from support.waiting import wait_until

from pushlane_worker.embedded import EmbeddedServer


@dataclass
class Pair:
    """The two servers, of which the old one is the primary until ``fail_over``."""

    address: Proxy
    old: Redis
    new: Redis
    new_port: int

    @property
    def url(self) -> str:
        """The address that clients have."""
        return self.address.url

    def fail_over(self) -> None:
        """Loses no write. Connections to the old primary go on; new ones lead to the new primary."""
        self.old.execute_command("FAILOVER")  # type: ignore[no-untyped-call] # redis-py has no method for it
        wait_until(lambda: self.new.info("replication")["role"] == "master", "the replica to be promoted")
        wait_until(lambda: self.old.info("replication")["role"] == "slave", "the primary to be demoted")
        self.address.target = self.new_port


@contextlib.contextmanager
def replicated() -> Iterator[Pair]:
    """Two servers of our own; the replica has what the primary had when it began."""
    with (
        EmbeddedServer() as first,
        EmbeddedServer() as second,
        proxy(first.port) as address,
        Redis.from_url(first.url) as old,
        Redis.from_url(second.url) as new,
    ):
        old.config_set("repl-diskless-sync-delay", 0)
        new.replicaof("127.0.0.1", str(first.port))
        wait_until(
            lambda: old.info("replication").get("slave0", {}).get("state") == "online", "the replica to have all"
        )
        yield Pair(address, old, new, second.port)
