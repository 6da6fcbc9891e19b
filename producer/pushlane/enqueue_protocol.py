"""Shared by both producers: pure steps from messages to a script call, and from its reply to receipts or an error.

``prepare`` turns messages into entries with ids. An entry keeps its id when the call is retried, so that a retry after
a lost reply enqueues nothing twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import redis

from pushlane.channel_record import newer_channel
from pushlane.errors import (
    IdempotencyConflict,
    InvalidMessage,
    QueueFull,
    QueueUnavailable,
    SettingsError,
    UnknownChannel,
)
from pushlane.hold import DECIDED, VERDICTS, StandingDecision
from pushlane.message import Limits, Message, check_id, check_idempotency_key
from pushlane.message_json import Form
from pushlane.message_record import STATES, conversation_of, from_ms, hold_key, read_header, text_of, write_content
from pushlane.password_file import with_password
from pushlane.push_record import read_pushes
from pushlane.receipt import MessageStatus, Receipt
from pushlane.tracing import MESSAGE_ID, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pushlane.hold import Verdict
    from pushlane.send_options import SendOptions

CHUNK: Final = 1000
"""Messages per script call, which accepts all of them or none."""
MAX_REASON_BYTES: Final = 500
SAME_PREFIX_S: Final = 8
"""Messages to one conversation within this time have ids with the same prefix. What is kept of them once they are
finished lies together then (``lua/lib_tombstone.lua``): a delivered batch writes one hash instead of ten."""
RETRY_AFTER_FULL_S: Final = 1.0
"""Each push that ends makes room in a full channel: at any usual rate limit, at least one ends within a second."""

_OK, _UNKNOWN_CHANNEL, _WRONG_KIND, _CONFLICT, _FULL = range(5)


@dataclass(frozen=True, slots=True)
class Entry:
    """A message on its way into the queue."""

    message_id: str
    message: Message
    fingerprint: bytes
    options: SendOptions


def message_id_of(channel: str, key: str) -> str:
    """The id of the message with this idempotency key."""
    return hashlib.sha256(f"{channel}\0{key}".encode()).hexdigest()[:32]


def random_id(conversation: str) -> str:
    """The id of a message without a key, behind a prefix that it shares with its neighbours."""
    neighbours = zlib.crc32(f"{time.time() // SAME_PREFIX_S} {conversation}".encode()) & 0xFFFF
    return f"{neighbours:04x}{secrets.token_hex(14)}"


def _fingerprint(message: Message) -> bytes:
    parts = (message.conversation.encode(), message.address, message.body)
    lengths = b",".join(str(len(part)).encode() for part in parts)
    return hashlib.blake2b(b"\0".join([lengths, *parts]), digest_size=12).hexdigest().encode()


def prepare(channel: str, limits: Limits, forms: Sequence[Form], *, single: bool) -> list[Entry]:
    """The messages with their ids. Raises InvalidMessage for the first one that the channel does not accept."""
    entries = []
    for index, form in enumerate(forms):
        try:
            message = limits.check(form.message)
        except InvalidMessage as error:
            raise (error if single else error.at(index)) from None
        key = form.options.idempotency_key
        message_id = random_id(message.conversation) if key is None else message_id_of(channel, key)
        entries.append(Entry(message_id, message, _fingerprint(message), form.options))
    return entries


def forms_of(messages: Sequence[Message], options: SendOptions) -> list[Form]:
    """The messages of a list with these options, each with its own key. Raises InvalidMessage if a key is too long."""
    if (key := options.idempotency_key) is None:
        return [Form(message, options) for message in messages]
    check_idempotency_key(f"{key}/{max(len(messages) - 1, 0)}")
    return [Form(message, replace(options, idempotency_key=f"{key}/{i}")) for i, message in enumerate(messages)]


def describe(span: Span, entries: Sequence[Entry]) -> None:
    """Tells the span what it sends: the id of one message, or how many there are."""
    if span.is_recording and len(entries) == 1:
        conversation = entries[0].message.conversation
        span.set_attributes({MESSAGE_ID: entries[0].message_id, "messaging.message.conversation_id": conversation})
    elif span.is_recording:
        span.set_attributes({"messaging.batch.message_count": len(entries)})


def arguments_of(kind: str, entries: Sequence[Entry], trace: str) -> list[str | bytes]:
    """The arguments of ``lua/enqueue.lua``; ``trace`` is the context of these messages' trace."""
    # A client may repeat a call. One whose ids were drawn for it was accepted whole or not at all: one look-up tells.
    fresh = all(entry.options.idempotency_key is None for entry in entries)
    arguments: list[str | bytes] = ["", kind, str(int(fresh))]
    for entry in entries:
        conversation = entry.message.conversation.encode()
        content = write_content(entry.fingerprint, conversation, entry.message.address, entry.message.body)
        arguments += (entry.message_id, conversation, content, entry.options.as_argument(trace))
    return arguments


def read_receipts(channel: str, entries: Sequence[Entry], reply: Sequence[Any]) -> list[Receipt]:
    """The receipts in the reply of ``lua/enqueue.lua``. Raises the error that it reports."""
    code = reply[0]
    if code == _UNKNOWN_CHANNEL:
        raise UnknownChannel(channel)
    if code == _WRONG_KIND:
        raise InvalidMessage("message", f"does not fit the channel, which is of kind {reply[1].decode()!r} now")
    if code == _CONFLICT:
        entry = entries[reply[1]]
        raise IdempotencyConflict(entry.options.idempotency_key or "", entry.message_id)
    if code == _FULL:
        raise QueueFull(channel, f"{reply[1]} messages are already waiting", RETRY_AFTER_FULL_S)
    if code != _OK:
        raise QueueFull(channel, "Redis is near its memory limit", RETRY_AFTER_FULL_S)
    values = iter(reply[1:])
    return [
        Receipt(
            message_id=entry.message_id,
            channel=channel,
            conversation=entry.message.conversation,
            sequence=sequence,
            state=STATES[state.decode()],
            duplicate=bool(duplicate),
        )
        for entry, sequence, state, duplicate in zip(entries, values, values, values, strict=True)
    ]


def read_status(channel: str, message_id: str, reply: Sequence[Any]) -> MessageStatus | None:
    """The status in the reply of ``lua/status.lua``."""
    if not reply:
        return None
    record, details, in_flight, entries = reply
    header = read_header(record, details)
    pushes, pushes_cut = read_pushes(entries, message_id, header)
    detail = f"waiting for a decision on {hold_key(details)}" if header.state == "held" else text_of(details)
    return MessageStatus(
        message_id=message_id,
        channel=channel,
        conversation=conversation_of(record),
        state="in_flight" if in_flight and header.state == "queued" else header.state,
        reason=header.reason,
        detail=detail or None,
        attempts=header.attempts,
        maybe_delivered=header.maybe_delivered,
        accepted_at=from_ms(header.accepted_ms),  # type: ignore[arg-type] # an accepted message has this time
        joined_at=from_ms(header.joined_ms),
        due_at=from_ms(header.due_ms),
        final_at=from_ms(header.final_ms),
        last_push=from_ms(header.pushed_ms),
        pushes=pushes,
        pushes_cut=pushes_cut,
    )


def decision_of(limits: Limits, key: str, verdict: Verdict, message: Message | None, reason: str) -> bytes:
    """The decision as ``lua/decide.lua`` expects it. Raises InvalidMessage."""
    check_id("key", key)
    if verdict not in VERDICTS:
        raise InvalidMessage("verdict", f"must be one of {', '.join(VERDICTS)}")
    if (verdict == "rewrite") != (message is not None):
        raise InvalidMessage("message", "is required with the verdict rewrite, and not allowed with any other")
    if message is not None:
        return b"w" + limits.check(message).body
    if verdict == "allow":
        return b"a"
    return b"f" + (reason or f"the decision was {verdict}").encode(errors="replace")[:MAX_REASON_BYTES]


def read_decision(channel: str, asked: bytes, reply: Sequence[Any]) -> tuple[StandingDecision, int]:
    """The decision that applies, from the reply of ``lua/decide.lua``, and how many messages are left to decide on."""
    if len(reply) == 1:
        raise UnknownChannel(channel)
    decision, met, left = reply
    same = decision == asked or decision[:1] == asked[:1] == b"f"
    return StandingDecision(DECIDED[decision[:1].decode()], same, met), left


@contextlib.contextmanager
def translating(channel: str, message_id: str | None = None) -> Iterator[None]:
    """Translates redis-py's errors into QueueFull, NewerChannel or QueueUnavailable."""
    try:
        yield
    except redis.exceptions.OutOfMemoryError as error:
        raise QueueFull(channel, "Redis is at its memory limit", RETRY_AFTER_FULL_S) from error
    except redis.RedisError as error:
        if newer := newer_channel(channel, error):
            raise newer from error
        raise QueueUnavailable(str(error) or type(error).__name__, message_id) from error


def address_of(redis_url: str | None) -> str:
    """The queue's address: the one given, or else the environment's.

    Raises:
        QueueUnavailable: There is neither.
        ValueError: The environment names a file with the password, and it cannot be used.
    """
    if redis_url:
        return redis_url
    if not (url := os.environ.get("PUSHLANE_REDIS_URL")):
        raise QueueUnavailable("no Redis address: pass redis_url or set PUSHLANE_REDIS_URL")
    file = os.environ.get("PUSHLANE_REDIS_PASSWORD_FILE")
    try:
        return with_password(url, file) if file else url
    except SettingsError as error:
        raise ValueError(str(error)) from None


def chunks(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """The entries in chunks of ``CHUNK``."""
    return (entries[start : start + CHUNK] for start in range(0, len(entries), CHUNK))
