"""The client of a Redis Cluster for threads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import redis
from redis.client import Pipeline

from pushlane.cluster.slots import Attempts, Slots, first_key, raise_if_elsewhere

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushlane.address import Node

T = TypeVar("T")


class Cluster(redis.Redis):
    """redis-py's client, but for a whole cluster. Thread-safe; connects on the first call.

    Args:
        seeds: Some nodes of the cluster.
        connect: A client of one node.
    """

    def __init__(self, seeds: Sequence[Node], connect: Callable[[Node], redis.Redis]) -> None:
        self._slots = Slots(seeds)
        self._connect = connect
        self._clients: dict[Node, Any] = {}
        self.any_pool = self._client(seeds[0]).connection_pool
        super().__init__(connection_pool=self.any_pool)

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 # redis-py's signature
        """Sends the command to the node that holds its first key."""
        key = first_key(args)
        return self._insist(lambda: self._client(self._slots.owner(key)).execute_command(*args, **options))

    def pipeline(self, transaction: bool = True, shard_hint: object = None) -> Any:  # noqa: ANN401, ARG002, FBT001, FBT002 # the same
        """A pipeline for keys of any nodes. Those of a transaction must share a hash tag."""
        return _Pipeline(self, transaction=transaction)

    def primaries(self) -> list[redis.Redis]:
        """A client of each primary."""
        return self._insist(lambda: [self._client(node) for node in self._slots.primaries])

    def close(self) -> None:
        """Closes its connections."""
        for client in list(self._clients.values()):
            client.close()

    def send(self, commands: Sequence[tuple[Sequence[Any], Any]], *, transaction: bool) -> list[Any]:
        """The replies or errors, in the order of the commands; one call for each node."""
        return self._insist(lambda: self._send(commands, transaction=transaction))

    def _send(self, commands: Sequence[tuple[Sequence[Any], Any]], *, transaction: bool) -> list[Any]:
        replies: list[Any] = [None] * len(commands)
        for node, indices in self._slots.by_owner([command for command, _ in commands]).items():
            with self._client(node).pipeline(transaction) as batch:
                for index in indices:
                    command, options = commands[index]
                    batch.execute_command(*command, **options)
                for index, reply in zip(indices, batch.execute(raise_on_error=False), strict=True):
                    replies[index] = reply
        raise_if_elsewhere(replies)
        return replies

    def _client(self, node: Node) -> Any:  # noqa: ANN401 # redis-py's types mix its clients' replies
        if (known := self._clients.get(node)) is not None:
            return known
        return self._clients.setdefault(node, self._connect(node))

    def _insist(self, call: Callable[[], T]) -> T:
        attempts = Attempts(self._slots)
        while True:
            try:
                if self._slots.stale:
                    self._look()
                return call()
            except BaseException as error:  # noqa: BLE001 # it is raised again unless there is another attempt
                pause = attempts.pause_after(error)
            time.sleep(pause)

    def _look(self) -> None:
        """Reads the map from the first node that answers. Raises redis.ConnectionError."""
        problem: Exception | None = None
        for node in self._slots.next_to_ask():
            try:
                self._slots.read(node, self._client(node).execute_command("CLUSTER", "SLOTS"))
            except redis.RedisError as error:
                problem = error
            else:
                return
        raise redis.ConnectionError(f"no node of the Redis Cluster answers: {problem}")


class _Pipeline(Pipeline):
    def __init__(self, cluster: Cluster, *, transaction: bool) -> None:
        super().__init__(cluster.any_pool, cluster.response_callbacks, transaction, None)
        self._cluster = cluster
        self._is_transaction = transaction

    def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 # redis-py's signature
        """The replies; an error among them is raised if it is wanted."""
        commands = self.command_stack
        self.reset()
        replies = self._cluster.send(commands, transaction=self._is_transaction) if commands else []
        if raise_on_error:
            self.raise_first_error(commands, replies)  # type: ignore[no-untyped-call] # redis-py gives it no types
        return replies
