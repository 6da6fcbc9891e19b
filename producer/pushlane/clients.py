"""How producers connect to Redis, and quicker ways than redis-py's where time is spent for each message."""

from __future__ import annotations

import asyncio
from collections import deque
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final

import hiredis
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import NoScriptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis.asyncio

MAX_CONNECTIONS: Final = 50
"""Of one producer. More calls at once wait for each other; redis-py's own default refuses the 101st."""


def adapt(client: redis.asyncio.Redis) -> None:
    """Makes the client answer bytes, whatever its address asks for, and write its commands in C.

    redis-py does the second for its synchronous client alone. In Python a script call with the arguments of 16
    decisions takes 116 us to write, in C 13.
    """
    pool = client.connection_pool
    pool.connection_kwargs["decode_responses"] = False
    pool.connection_class = type("Connection", (_WritesInC, pool.connection_class), {})


class ScriptLine(asyncio.Protocol):
    """A connection for the calls of one script.

    redis-py opens it; then this takes the place of its streams, which with its pool, telemetry and timeouts cost as
    much as the call itself. There is no timeout here: the caller has one.

    Args:
        client: Whose pool the connection comes from. Closing the client closes it.
        text: The script.
    """

    def __init__(self, client: redis.asyncio.Redis, text: str) -> None:
        self._client = client
        self._text = text
        self._sha = sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._connection: Any = None
        self._opening = asyncio.Lock()
        self._transport: Any = None
        self._streams: Any = None
        self._reader: Any = None
        self._answers: deque[asyncio.Future[Any]] = deque()

    async def call(self, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:  # noqa: ANN401 # a reply
        """The script's answer. The call is repeated once when the connection was lost: perhaps it runs twice.

        A call that is cancelled closes the connection; the next one opens it again. Raises redis.RedisError, OSError.
        """
        command = _packed("EVALSHA", self._sha, len(keys), *keys, *arguments)
        try:
            return await self._ask(command)
        except NoScriptError:
            await self._client.script_load(self._text)
        except ConnectionLost:  # mostly closed since the last call
            pass
        return await self._ask(command)

    async def _ask(self, command: bytes) -> Any:  # noqa: ANN401 # a reply
        if self._transport is None:
            await self._open()
        transport, answer = self._transport, asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        transport.write(command)
        try:
            return await answer
        except asyncio.CancelledError:
            transport.abort()
            raise

    async def _open(self) -> None:
        async with self._opening:
            if self._transport is not None:
                return
            if self._connection is None:
                self._connection = await self._client.connection_pool.get_connection()  # type: ignore[no-untyped-call]
            else:
                await self._connection.disconnect(nowait=True)
                await self._connection.connect()
            # It has no public name for these two.
            self._reader = hiredis.Reader(replyError=self._connection._parser.parse_error)  # noqa: SLF001
            transport = self._connection._writer.transport  # noqa: SLF001
            self._streams = transport.get_protocol()
            transport.set_protocol(self)
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Hands out the answers, which come in the order of the calls."""
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            if isinstance(reply, hiredis.PushNotification):  # news of the server's, and no answer
                continue
            answer = self._answers.popleft()
            if answer.done():  # given up
                continue
            if isinstance(reply, Exception):
                answer.set_exception(reply)
            else:
                answer.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits gets no answer any more."""
        self._transport = None
        while self._answers:
            answer = self._answers.popleft()
            if not answer.done():
                answer.set_exception(ConnectionLost("the connection was lost"))
        self._streams.connection_lost(exc)  # closing the client waits for them


class _WritesInC:
    def pack_command(self, name: str, *arguments: Any) -> list[bytes]:  # noqa: ANN401 # whatever a command takes
        # redis-py names some commands by two words, such as SCRIPT LOAD.
        return [_packed(*name.split(), *arguments)]


def _packed(*words: Any) -> bytes:  # noqa: ANN401 # whatever a command takes
    packed: bytes = hiredis.pack_command(words)
    return packed
