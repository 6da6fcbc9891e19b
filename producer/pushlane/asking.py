"""Asks one of several servers something, each in turn: the nodes of a cluster for its map, sentinels for the primary.

Each time begins with another server: one may hang, and one may have been cut off and tell what was once true. Each
question has a connection of its own, so that a server which hangs holds up nothing else.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import redis
from redis.asyncio import connection as asynchronous

from pushlane.handshake import explaining
from pushlane.refusals import explain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from pushlane.address import Node

ANSWER_S: Final = 0.5
"""How long one server may take at most; callers have their own timeouts around this."""
_WRONG_LOGIN: Final = (redis.AuthenticationError, redis.exceptions.AuthorizationError)


class Asking:
    """Asks servers with this login and TLS.

    Args:
        failed: What the error says if none of them answers.
        nodes: The servers to begin with.
        timeout: Seconds for all of them together.
        login: ``username`` and ``password``, if any.
        tls: redis-py's ``ssl_*``, None without TLS.
    """

    def __init__(
        self,
        failed: str,
        nodes: Sequence[Node],
        timeout: float,
        login: Mapping[str, Any],
        tls: Mapping[str, Any] | None,
    ) -> None:
        self._failed = failed
        self._first = self._nodes = tuple(nodes)
        self._timeout = timeout
        self._options = {**login, **(tls or {})}
        self._tls = tls is not None

    def learn(self, listed: Collection[Node]) -> None:
        """Asks these from now on, and behind them those that it began with."""
        kept = [node for node in self._nodes if node in listed]
        self._nodes = (*(node for node in listed if node not in kept), *kept)

    def ask(self, *command: str) -> tuple[Node, Any]:
        """The first server that knows, and its answer. Raises redis.ConnectionError and redis.AuthenticationError."""
        kind: Any = redis.SSLConnection if self._tls else redis.Connection
        problem: Exception | None = None
        for node, timeout in self._in_turn():
            connection = _explained(kind)(host=node.host, port=node.port, **self._options, **_timeouts(timeout))
            try:
                connection.send_command(*command)
                if answer := connection.read_response():
                    return node, answer
            except _WRONG_LOGIN as error:
                explain(error)
                raise
            except (redis.RedisError, OSError) as error:
                problem = error
            finally:
                connection.disconnect()
        raise redis.ConnectionError(f"{self._failed}: {problem or 'none knows'}")

    async def ask_async(self, *command: str) -> tuple[Node, Any]:
        """``ask`` for asyncio."""
        kind: Any = asynchronous.SSLConnection if self._tls else asynchronous.Connection
        problem: Exception | None = None
        for node, timeout in self._in_turn():
            connection = _explained(kind)(host=node.host, port=node.port, **self._options, **_timeouts(timeout))
            try:
                async with asyncio.timeout(timeout):
                    await connection.send_command(*command)
                    if answer := await connection.read_response():
                        return node, answer
            except _WRONG_LOGIN as error:
                explain(error)
                raise
            except TimeoutError:
                problem = TimeoutError(f"{node.host}:{node.port} does not answer")
            except (redis.RedisError, OSError) as error:
                problem = error
            finally:
                await connection.disconnect(nowait=True)
        raise redis.ConnectionError(f"{self._failed}: {problem or 'none knows'}")

    def _in_turn(self) -> Iterator[tuple[Node, float]]:
        """Each server, with the seconds that it has."""
        nodes = tuple(dict.fromkeys((*self._nodes, *self._first)))
        for node in nodes:
            self._nodes = (*(one for one in self._nodes if one != node), node)
            yield node, min(ANSWER_S, self._timeout / len(nodes))


def _explained(kind: type) -> Any:  # noqa: ANN401 # a class
    return type(kind.__name__, (*explaining(kind), kind), {})


def _timeouts(timeout: float) -> Mapping[str, float]:
    return {"socket_timeout": timeout, "socket_connect_timeout": timeout}
