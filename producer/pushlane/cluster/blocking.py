"""The client of a Redis Cluster for threads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import redis
from redis.client import Pipeline

from pushlane.address import Node
from pushlane.cluster.batch import Batch
from pushlane.cluster.slots import Attempts, Command, Slots, first_key
from pushlane.connections import UNANSWERED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pushlane.asking import Asking

T = TypeVar("T")


class Cluster(redis.Redis):
    """redis-py's client, but for a whole cluster. Thread-safe; connects on the first call.

    Args:
        seeds: Asks the nodes for the map.
        connect: A client of one node.
    """

    def __init__(self, seeds: Asking, connect: Callable[[Node], redis.Redis]) -> None:
        self._seeds = seeds
        self._slots = Slots()
        self._connect = connect
        self._clients: dict[Node, Any] = {}
        self.any_pool = connect(Node()).connection_pool
        super().__init__(connection_pool=self.any_pool)

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 # redis-py's signature
        """Sends the command to the node that holds its first key."""
        key = first_key(args)
        return self._insist(lambda: self._client(self._slots.owner(key)).execute_command(*args, **options))

    def pipeline(self, transaction: bool = True, shard_hint: object = None) -> Any:  # noqa: ANN401, ARG002, FBT001, FBT002 # the same
        """A pipeline for keys of any nodes. Those of a transaction must share a hash tag."""
        return _Pipeline(self, transaction=transaction)

    def primaries(self) -> list[redis.Redis]:
        """A client of each primary of the last map."""
        return self._insist(lambda: [self._client(node) for node in self._slots.primaries])

    def by_primary(self, keys: Sequence[str]) -> Collection[Sequence[str]]:
        """The keys, those of each primary of the last map together."""
        return self._insist(lambda: self._slots.by_primary(keys))

    def close(self) -> None:
        """Closes its connections."""
        for client in list(self._clients.values()):
            client.close()

    def try_once(self, *command: Any) -> None:  # noqa: ANN401 # whatever a command takes
        """Sends the command without a second attempt; nobody learns whether it succeeded."""
        try:
            self._client(self._slots.owner(first_key(command))).execute_command(*command)
        except UNANSWERED:
            self._slots.stale = True

    def send(self, commands: Sequence[Command], *, transaction: bool) -> Batch:
        """Sends the commands of a pipeline, to each node its own."""
        batch = Batch(self._slots, commands)
        try:
            self._insist(lambda: self._send(batch, transaction=transaction))
        except redis.RedisError as error:
            batch.give_up(error)
        return batch

    def _send(self, batch: Batch, *, transaction: bool) -> None:
        """One attempt. Raises the last error that may pass."""
        for node, numbers in batch.parts().items():
            try:
                with self._client(node).pipeline(transaction) as pipeline:
                    batch.fill(pipeline, numbers)
                    batch.take(numbers, pipeline.execute(raise_on_error=False))
            except UNANSWERED as error:
                batch.fail(numbers, error)
        batch.raise_if_open()

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
        """Reads the map anew. Raises redis.ConnectionError if no node answers."""
        listed = self._slots.read(*self._seeds.ask("CLUSTER", "SLOTS"))
        self._seeds.learn(listed)
        for node in self._clients.keys() - listed:
            if (gone := self._clients.pop(node, None)) is not None:  # another thread may have been faster
                gone.close()


class _Pipeline(Pipeline):
    def __init__(self, cluster: Cluster, *, transaction: bool) -> None:
        super().__init__(cluster.any_pool, cluster.response_callbacks, transaction, None)
        self._cluster = cluster
        self._is_transaction = transaction

    def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 # redis-py's signature
        """The replies; an error among them is raised if it is wanted."""
        commands = self.command_stack
        self.reset()
        if not commands:
            return []
        batch = self._cluster.send(commands, transaction=self._is_transaction)
        if raise_on_error:
            batch.raise_first()
        return batch.replies
