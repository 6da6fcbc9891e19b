"""The client of a Redis Cluster for asyncio; it does the same as the one for threads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

import redis
import redis.asyncio
from redis.asyncio.client import Pipeline

from pushlane.cluster.slots import Attempts, Slots, first_key, raise_if_elsewhere

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pushlane.address import Node

T = TypeVar("T")
LOOK_S: Final = 0.5
"""How long a node may take to send the map before another one is asked: callers have their own timeouts around this."""


class AsyncCluster(redis.asyncio.Redis):
    """redis-py's client, but for a whole cluster. Belongs to one event loop.

    Args:
        seeds: Some nodes of the cluster.
        connect: A client of one node.
    """

    def __init__(self, seeds: Sequence[Node], connect: Callable[[Node], redis.asyncio.Redis]) -> None:
        self._slots = Slots(seeds)
        self._connect = connect
        self._clients: dict[Node, Any] = {}
        self._looking = asyncio.Lock()
        self.any_pool = self._client(seeds[0]).connection_pool
        super().__init__(connection_pool=self.any_pool)

    async def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 # redis-py's signature
        """Sends the command to the node that holds its first key."""
        key = first_key(args)
        return await self._insist(lambda: self._client(self._slots.owner(key)).execute_command(*args, **options))

    def pipeline(self, transaction: bool = True, shard_hint: object = None) -> Any:  # noqa: ANN401, ARG002, FBT001, FBT002 # the same
        """A pipeline for keys of any nodes. Those of a transaction must share a hash tag."""
        return _Pipeline(self, transaction=transaction)

    async def primaries(self) -> list[redis.asyncio.Redis]:
        """A client of each primary."""

        async def clients() -> list[redis.asyncio.Redis]:
            return [self._client(node) for node in self._slots.primaries]

        return await self._insist(clients)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: FBT001 # the same
        """Closes its connections."""
        for client in list(self._clients.values()):
            await client.aclose(close_connection_pool)

    async def send(self, commands: Sequence[tuple[Sequence[Any], Any]], *, transaction: bool) -> list[Any]:
        """The replies or errors, in the order of the commands; one call for each node."""
        return await self._insist(lambda: self._send(commands, transaction=transaction))

    async def _send(self, commands: Sequence[tuple[Sequence[Any], Any]], *, transaction: bool) -> list[Any]:
        replies: list[Any] = [None] * len(commands)
        for node, indices in self._slots.by_owner([command for command, _ in commands]).items():
            async with self._client(node).pipeline(transaction) as batch:
                for index in indices:
                    command, options = commands[index]
                    batch.execute_command(*command, **options)
                for index, reply in zip(indices, await batch.execute(raise_on_error=False), strict=True):
                    replies[index] = reply
        raise_if_elsewhere(replies)
        return replies

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
        """Reads the map from the first node that answers. Raises redis.ConnectionError."""
        async with self._looking:
            if not self._slots.stale:  # another task has just read it
                return
            problem: Exception | None = None
            for node in self._slots.next_to_ask():
                try:
                    async with asyncio.timeout(LOOK_S):
                        self._slots.read(node, await self._client(node).execute_command("CLUSTER", "SLOTS"))
                except (redis.RedisError, OSError) as error:  # also a TimeoutError
                    problem = error
                else:
                    return
            raise redis.ConnectionError(f"no node of the Redis Cluster answers: {problem or 'each hangs'}")


class _Pipeline(Pipeline):
    def __init__(self, cluster: AsyncCluster, *, transaction: bool) -> None:
        super().__init__(cluster.any_pool, cluster.response_callbacks, transaction, None)
        self._cluster = cluster
        self._is_transaction = transaction

    async def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 # redis-py's signature
        """The replies; an error among them is raised if it is wanted."""
        commands = self.command_stack
        await self.reset()  # type: ignore[no-untyped-call] # redis-py gives it no types
        replies = await self._cluster.send(commands, transaction=self._is_transaction) if commands else []
        if raise_on_error:
            self.raise_first_error(commands, replies)
        return replies
