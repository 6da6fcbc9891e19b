"""For a service's own tests: a producer whose queue is in memory, and assertions about what it has sent.

>>> from pushlane import RoomMessage
>>> from pushlane.testing import assert_sent, fake_producer
>>> with fake_producer({"support": "cinnox"}) as producer:
...     receipt = producer.send("support", RoomMessage("room-1", "Hello"))
...     assert_sent(producer, "support", RoomMessage("room-1", "Hello"))

The producers are the real ones, and so are limits, errors, idempotency, status and cancel: the scripts run in a
stand-in for Redis. There is no worker, so a message stays where it is. Needs the extra ``testing``.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from pushlane.keys import channel_prefix
from pushlane.message import RoomMessage, ThirdPartyMessage, check_channel_name
from pushlane.message_json import build, fields_of
from pushlane.message_record import FIELDS, read_content
from pushlane.producer import AsyncProducer, Producer
from pushlane.scripts import Script

try:
    import lupa  # noqa: F401 # without it the stand-in runs no script
    from fakeredis import FakeAsyncRedis, FakeRedis, FakeServer
except ModuleNotFoundError as error:
    problem = f"pushlane.testing needs the extra: pip install 'pushlane[testing]' ({error.name})"
    raise ModuleNotFoundError(problem, name=error.name) from None

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushlane.message import Message

__all__ = ["assert_sent", "fake_async_producer", "fake_producer", "sent"]

MAX_LISTED: Final = 20
"""How many messages are listed when an assertion fails."""

_KINDS: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        RoomMessage.kind: {"batch_limit": 10, "max_text": 5000, "rate_limit": 500, "rate_window_ms": 60_000},
        ThirdPartyMessage.kind: {"batch_limit": 1, "max_text": 0, "rate_limit": 0, "rate_window_ms": 1000},
    }
)
# A test compares it with what a worker registers for a channel that has only an address and a token.
_RECORD: Final[Mapping[str, str | int]] = MappingProxyType(
    {
        "queue": "pushlane",
        "text_unit": "codepoints",
        "max_message_bytes": 65_536,
        "max_queued": 1_000_000,
        "breaker_after": 10,
        "breaker_cap_ms": 60_000,
        "retry_after_cap_ms": 3_600_000,
        "backoff_cap_ms": 300_000,
        "retention_ms": 86_400_000,
        "lease_rest_ms": 20_000,
        "idempotency_ms": 86_400_000,
    }
)


def _client(kind: Any, server: FakeServer) -> Any:  # noqa: ANN401 # fakeredis has no types
    client = kind(server=server)
    run = client.eval
    client.eval = lambda script, *words: run(script.partition("\n")[2], *words)  # it does not support ``#!lua``
    return client


class _Queue:
    """The queue of one fake producer, with these channels."""

    def __init__(self, channels: Mapping[str, str]) -> None:
        self.server = FakeServer()
        self.channels = dict(channels)
        self._redis = _client(FakeRedis, self.server)
        for name, kind in channels.items():
            if kind not in _KINDS:
                raise ValueError(f"channel {name!r} must be of kind {' or '.join(_KINDS)}, not {kind!r}")
            fields: dict[str, str | int] = {"kind": kind, **_KINDS[kind], **_RECORD}
            pairs = [item for pair in fields.items() for item in pair]
            Script("register").call(self._redis, channel_prefix(check_channel_name(name)), "", *pairs)

    def messages(self, channel: str) -> list[Message]:
        if channel not in self.channels:
            raise ValueError(f"no channel {channel!r} here: the producer was created with {', '.join(self.channels)}")
        found = [self._redis.get(key) for key in self._redis.scan_iter(f"{channel_prefix(channel)}message:*")]
        in_order = sorted(found, key=lambda record: int(record[FIELDS["sequence"]]))
        return [self._message(channel, record) for record in in_order]

    def _message(self, channel: str, record: bytes) -> Message:
        conversation, address, body = read_content(record)
        return build(fields_of(self.channels[channel], conversation, address, body)).message


class _FakeProducer(Producer):
    def __init__(self, channels: Mapping[str, str]) -> None:
        self.queue = _Queue(channels)
        super().__init__()

    def _connect(self, *_: object) -> Any:  # noqa: ANN401 # the same
        return _client(FakeRedis, self.queue.server)


class _FakeAsyncProducer(AsyncProducer):
    def __init__(self, channels: Mapping[str, str]) -> None:
        self.queue = _Queue(channels)
        super().__init__()

    def _connect(self, *_: object) -> Any:  # noqa: ANN401 # the same
        return _client(FakeAsyncRedis, self.queue.server)


def fake_producer(channels: Mapping[str, str]) -> Producer:
    """A producer with its own queue in memory.

    Args:
        channels: The kind of each channel, ``cinnox`` or ``third_party``, by its name. They have the default limits.

    Raises:
        ValueError: A name or a kind is invalid.
    """
    return _FakeProducer(channels)


def fake_async_producer(channels: Mapping[str, str]) -> AsyncProducer:
    """``fake_producer`` for asyncio. ``sent`` and ``assert_sent`` are still called without await."""
    return _FakeAsyncProducer(channels)


def sent(producer: Producer | AsyncProducer, channel: str | None = None) -> list[Message]:
    """The accepted messages, in order; without a channel, those of all channels, one channel after the other.

    Scheduled and held messages are included, duplicates and cancelled ones are not.

    Raises:
        TypeError: The producer does not come from ``fake_producer`` or ``fake_async_producer``.
        ValueError: It was created without this channel.
    """
    if not isinstance(producer, _FakeProducer | _FakeAsyncProducer):
        raise TypeError("the producer must come from fake_producer or fake_async_producer")
    queue = producer.queue
    return [message for name in (queue.channels if channel is None else [channel]) for message in queue.messages(name)]


def assert_sent(producer: Producer | AsyncProducer, channel: str, message: Message, *more: Message) -> None:
    """Fails unless these messages were sent to the channel in this order; others may have come between them.

    Raises:
        AssertionError: They were not. It says which one is missing, and what was sent.
    """
    __tracebackhide__ = True
    there = sent(producer, channel)
    rest = iter(there)
    for expected in map(_as_stored, (message, *more)):
        if expected not in rest:  # continues behind the previous match
            raise AssertionError(_failure(channel, expected, there))


def _as_stored(message: Message) -> Message:
    """The message as it comes back from JSON, which turns a tuple into a list."""
    if isinstance(message, ThirdPartyMessage):
        return ThirdPartyMessage(message.user_id, json.loads(message.body))
    return message


def _failure(channel: str, expected: Message, there: Sequence[Message]) -> str:
    how = "was sent, but not in this order or not as often" if expected in there else "was not sent"
    lines = [f"to {channel!r} {how}:", f"  {expected!r}", "messages sent to it:" if there else "nothing was sent to it"]
    lines += [f"  {message!r}" for message in there[:MAX_LISTED]]
    if len(there) > MAX_LISTED:
        lines.append(f"  and {len(there) - MAX_LISTED} more")
    return "\n".join(lines)
