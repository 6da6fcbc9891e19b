"""The client of a Redis Cluster for asyncio; it does the same as the one for threads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import redis
import redis.asyncio
from redis.asyncio.client import Pipeline

from pushlane.address import Node
from pushlane.cluster.batch import Batch
from pushlane.cluster.slots import Attempts, Command, Slots, first_key
from pushlane.connections import UNANSWERED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pushlane.asking import Asking

T = TypeVar("T")


class AsyncCluster(redis.asyncio.Redis):
    """redis-py's client, but for a whole cluster. Belongs to one event loop.

    Args:
        seeds: Asks the nodes for the map.
        connect: A client of one node.
    """

    def __init__(self, seeds: Asking, connect: Callable[[Node], redis.asyncio.Redis]) -> None:
        self._seeds = seeds
        self._slots = Slots()
        self._connect = connect
        self._clients: dict[Node, Any] = {}
        self._looking = asyncio.Lock()
        self.any_pool = connect(Node()).connection_pool
        super().__init__(connection_pool=self.any_pool)

    async def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 # redis-py's signature
        """Sends the command to the node that holds its first key."""
        key = first_key(args)
        return await self._insist(lambda: self._client(self._slots.owner(key)).execute_command(*args, **options))

    def pipeline(self, transaction: bool = True, shard_hint: object = None) -> Any:  # noqa: ANN401, ARG002, FBT001, FBT002 # the same
        """A pipeline for keys of any nodes. Those of a transaction must share a hash tag."""
        return _Pipeline(self, transaction=transaction)

    async def primaries(self) -> list[redis.asyncio.Redis]:
        """A client of each primary that there is now."""
        self._slots.stale = True

        async def clients() -> list[redis.asyncio.Redis]:
            return [self._client(node) for node in self._slots.primaries]

        return await self._insist(clients)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: FBT001 # the same
        """Closes its connections."""
        for client in list(self._clients.values()):
            await client.aclose(close_connection_pool)

    async def try_once(self, *command: Any) -> None:  # noqa: ANN401 # whatever a command takes
        """Sends the command without a second attempt; nobody learns whether it succeeded."""
        try:
            await self._client(self._slots.owner(first_key(command))).execute_command(*command)
        except UNANSWERED:
            self._slots.stale = True

    async def send(self, commands: Sequence[Command], *, transaction: bool) -> Batch:
        """Sends the commands of a pipeline, to each node its own."""
        batch = Batch(self._slots, commands)
        try:
            await self._insist(lambda: self._send(batch, transaction=transaction))
        except redis.RedisError as error:
            batch.give_up(error)
        return batch

    async def _send(self, batch: Batch, *, transaction: bool) -> None:
        """One attempt. Raises the last error that may pass."""
        for node, numbers in batch.parts().items():
            try:
                async with self._client(node).pipeline(transaction) as pipeline:
                    batch.fill(pipeline, numbers)
                    batch.take(numbers, await pipeline.execute(raise_on_error=False))
            except UNANSWERED as error:
                batch.fail(numbers, error)
        batch.raise_if_open()

    def _client(self, node: Node) -> Any:  # noqa: ANN401 # redis-py's types mix its clients' replies
        if node not in self._clients:
            self._clients[node] = self._connect(node)
        return self._clients[node]

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        attempts = Attempts(self._slots)
        while True:
            try:
                if self._slots.stale:
                    await self._look()
                return await call()
            except BaseException as error:  # noqa: BLE001 # it is raised again unless there is another attempt
                pause = attempts.pause_after(error)
            await asyncio.sleep(pause)

    async def _look(self) -> None:
        """Reads the map anew. Raises redis.ConnectionError if no node answers."""
        async with self._looking:
            if self._slots.stale:  # no other task has just read it
                listed = self._slots.read(*await self._seeds.ask_async("CLUSTER", "SLOTS"))
                self._seeds.learn(listed)
                for node in self._clients.keys() - listed:
                    await self._clients.pop(node).aclose()


class _Pipeline(Pipeline):
    def __init__(self, cluster: AsyncCluster, *, transaction: bool) -> None:
        super().__init__(cluster.any_pool, cluster.response_callbacks, transaction, None)
        self._cluster = cluster
        self._is_transaction = transaction

    async def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 # redis-py's signature
        """The replies; an error among them is raised if it is wanted."""
        commands = self.command_stack
        await self.reset()  # type: ignore[no-untyped-call] # redis-py gives it no types
        if not commands:
            return []
        batch = await self._cluster.send(commands, transaction=self._is_transaction)
        if raise_on_error:
            batch.raise_first()
        return batch.replies
