"""A test's own client: the usual one of a server, and of a cluster one that also has the commands without a key."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from redis import Redis

from pushlane import clients
from pushlane.address import Node, parse
from pushlane.cluster.blocking import Cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT_S: Final = 10.0
_ON_EACH: Final[dict[str, Callable[[list[Any]], Any]]] = {
    "KEYS": lambda replies: list(chain.from_iterable(replies)),
    "DBSIZE": sum,
    "FLUSHALL": all,
    "FLUSHDB": all,
    "SCRIPT FLUSH": all,
    "SCRIPT LOAD": lambda replies: replies[0],
    "CONFIG SET": all,
    "CONFIG RESETSTAT": all,
    "INFO": lambda replies: replies[0],
    "TIME": lambda replies: replies[0],
    "CONFIG GET": lambda replies: replies[0],
}
"""Commands that each primary gets, and what becomes of the replies."""


class EveryNode(Cluster):
    """The product's client, which sends commands without a key to every primary."""

    def __init__(self, url: str) -> None:
        super().__init__(clients._nodes(parse(url), TIMEOUT_S), _of_node)
        self.url = url

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 # redis-py's signature
        """The reply, or all primaries' replies in one."""
        join = _ON_EACH.get(args[0])
        if join is None:
            return super().execute_command(*args, **options)
        return join([client.execute_command(*args, **options) for client in self.primaries()])  # type: ignore[no-untyped-call] # redis-py gives it no types

    def scan_iter(self, *args: Any, **options: Any) -> Iterator[Any]:  # noqa: ANN401 # the same
        """All keys, one node after the other."""
        return chain.from_iterable(client.scan_iter(*args, **options) for client in self.primaries())


def client_of(url: str) -> Redis:
    """A client that gives raw bytes."""
    return EveryNode(url) if parse(url).kind == "cluster" else Redis.from_url(url)


def url_of(redis: Redis) -> str:
    """The address of the server or the cluster that this client is connected to."""
    if isinstance(redis, EveryNode):
        return redis.url
    options = redis.get_connection_kwargs()
    return f"redis://{options['host']}:{options['port']}/{options['db']}"


def _of_node(node: Node) -> Redis:
    return clients.connect(f"redis://{node.host}:{node.port}/0", timeout=TIMEOUT_S)
