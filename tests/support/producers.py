"""Both producers behind one interface, and what they wrote, as a caller and as Redis see it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from redis import Redis

from pushlane import AsyncProducer, MessageStatus, Receipt, RoomMessage, ThirdPartyMessage
from pushlane.keys import channel_prefix

PREFIX = channel_prefix("support")
HELLO = RoomMessage("room", "hello")
Message = RoomMessage | ThirdPartyMessage


class Door(Protocol):
    """What both producers offer."""

    def send(self, channel: str, message: Message, *, idempotency_key: str | None = None) -> Receipt:
        """Enqueues one."""

    def send_many(
        self, channel: str, messages: Sequence[Message], *, idempotency_key: str | None = None
    ) -> list[Receipt]:
        """Enqueues many."""

    def status(self, channel: str, message_id: str) -> MessageStatus | None:
        """Where it is."""

    def close(self) -> None:
        """Closes its connections."""


class AsyncDoor:
    """An AsyncProducer in a loop of its own, called like a Producer."""

    def __init__(self, redis_url: str | None = None, *, timeout: float = 2.0) -> None:
        self._producer = AsyncProducer(redis_url, timeout=timeout)
        self._runner = asyncio.Runner()

    def send(self, channel: str, message: Message, *, idempotency_key: str | None = None) -> Receipt:
        """Enqueues one."""
        return self._runner.run(self._producer.send(channel, message, idempotency_key=idempotency_key))

    def send_many(
        self, channel: str, messages: Sequence[Message], *, idempotency_key: str | None = None
    ) -> list[Receipt]:
        """Enqueues many."""
        return self._runner.run(self._producer.send_many(channel, messages, idempotency_key=idempotency_key))

    def status(self, channel: str, message_id: str) -> MessageStatus | None:
        """Where it is."""
        return self._runner.run(self._producer.status(channel, message_id))

    def close(self) -> None:
        """Closes its connections and the loop."""
        self._runner.run(self._producer.aclose())
        self._runner.close()


Open = Callable[..., Door]


def ids_in(redis: Redis, conversation: str = "room") -> list[str]:
    """The message ids of a conversation, oldest first."""
    return [bytes_of(entry).decode() for entry in redis.lrange(f"{PREFIX}conversation:{conversation}", 0, -1)]


def bytes_of(value: object) -> bytes:
    """A reply of a client that does not decode."""
    assert isinstance(value, bytes)
    return value


def everything(redis: Redis) -> dict[bytes, bytes | None]:
    """All keys with what they hold."""
    return {key: redis.dump(key) for key in redis.scan_iter(count=1000)}


def texts(count: int, room: str = "room") -> list[RoomMessage]:
    """So many messages of one room."""
    return [RoomMessage(room, f"text {number}") for number in range(count)]
