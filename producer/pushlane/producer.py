"""``Producer``: a thin shell over the queue's scripts.

What it shares with ``AsyncProducer`` is pure and lives in ``enqueue_protocol.py``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self, cast

from pushlane.async_producer import AsyncProducer
from pushlane.channel_record import LIMIT_FIELDS, LimitsCache
from pushlane.clients import connect
from pushlane.enqueue_protocol import (
    Entry,
    address_of,
    arguments_of,
    chunks,
    decision_of,
    describe,
    forms_of,
    prepare,
    read_decision,
    read_receipts,
    read_status,
    translating,
)
from pushlane.errors import PushlaneError
from pushlane.keys import channel_prefix
from pushlane.message import Limits, Message, check_channel_name
from pushlane.message_json import Form
from pushlane.scripts import Script
from pushlane.send_options import SendOptions
from pushlane.tracing import sending

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    import redis

    from pushlane.hold import Hold, StandingDecision, Verdict
    from pushlane.receipt import CancelResult, MessageStatus, Receipt
    from pushlane.send_options import When
    from pushlane.tracing import Span


__all__ = ["AsyncProducer", "Producer"]

_ENQUEUE, _STATUS = Script("enqueue"), Script("status")
_CANCEL, _DECIDE = Script("cancel"), Script("decide")


class Producer:
    """Enqueues messages. Thread-safe and fork-safe; connects on the first call.

    Args:
        redis_url: The address of the queue's Redis; by default the environment's ``PUSHLANE_REDIS_URL``.
        timeout: Seconds to wait for a free connection, for connecting and for each answer; then a call raises
            QueueUnavailable.

    Raises:
        ValueError: The address is invalid, or the file with its password cannot be used.
        QueueUnavailable: No address is given.
    """

    def __init__(self, redis_url: str | None = None, *, timeout: float = 2.0) -> None:
        self._redis = self._connect(redis_url, timeout)
        self._limits = LimitsCache()

    def _connect(self, redis_url: str | None, timeout: float) -> redis.Redis:
        return connect(address_of(redis_url), timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        self._redis.close()

    def send(
        self,
        channel: str,
        message: Message,
        *,
        idempotency_key: str | None = None,
        not_before: When | None = None,
        expires_in: timedelta | float | None = None,
        hold: Hold | None = None,
    ) -> Receipt:
        """Enqueues one message. Relative times count from now, by Redis's clock.

        Args:
            channel: Its name.
            message: A message of the channel's kind.
            idempotency_key: 1 to 255 printable ASCII characters. Using the same key again within the workers'
                ``IDEMPOTENCY_WINDOW_S`` (24 h by default) does not enqueue the message twice.
            not_before: When it joins its conversation: an aware datetime, a timedelta or seconds. The past means now.
            expires_in: How long it may be delivered, as a timedelta or seconds; then it becomes a dead letter,
                `expired`.
            hold: Keeps the message in its position until there is a decision; excludes ``not_before``.

        Raises:
            InvalidMessage: The message or an option breaks a rule; nothing was sent.
            UnknownChannel: The channel is not registered; nothing was sent.
            IdempotencyConflict: The key was used within its window for another message; nothing was sent.
            QueueFull: The channel or Redis is full; nothing was sent.
            QueueUnavailable: No answer within the timeout: it may have been accepted. Retry with the same key.
        """
        return self.send_form(channel, Form(message, SendOptions.check(idempotency_key, not_before, expires_in, hold)))

    def send_form(self, channel: str, form: Form) -> Receipt:
        """Enqueues a message with its own options; otherwise like ``send``."""
        with sending(channel) as span:
            entries = prepare(channel, self._limits_of(channel), [form], single=True)
            describe(span, entries)
            return self._accept(channel, entries, span)[0]

    def send_many(
        self,
        channel: str,
        messages: Sequence[Message],
        *,
        idempotency_key: str | None = None,
        not_before: When | None = None,
        expires_in: timedelta | float | None = None,
    ) -> list[Receipt]:
        """Enqueues many messages in order, 1,000 per round trip; each 1,000 are accepted together or not at all.

        All are checked before the first is sent. Message ``i`` gets the idempotency key ``{key}/{i}``; the other
        options apply to each message.

        Raises:
            PushlaneError: Like ``send``; its ``receipts`` are those of the messages accepted so far.
        """
        options = SendOptions.check(idempotency_key, not_before, expires_in)
        return self.send_forms(channel, forms_of(messages, options))

    def send_forms(self, channel: str, forms: Sequence[Form]) -> list[Receipt]:
        """Enqueues messages that each have their own options; otherwise like ``send_many``."""
        with sending(channel) as span:
            entries = prepare(channel, self._limits_of(channel), forms, single=False)
            describe(span, entries)
            receipts: list[Receipt] = []
            for chunk in chunks(entries):
                try:
                    receipts += self._accept(channel, chunk, span)
                except PushlaneError as error:
                    error.receipts = tuple(receipts)
                    raise
            return receipts

    def status(self, channel: str, message_id: str) -> MessageStatus | None:
        """The message's status; None if its id is unknown or its retention is over. Raises QueueUnavailable."""
        prefix = channel_prefix(check_channel_name(channel))
        with translating(channel):
            reply = _STATUS.call(self._redis, prefix, "", message_id)
        return read_status(channel, message_id, reply)

    def cancel(self, channel: str, message_id: str) -> CancelResult:
        """Takes the message out of the queue, if it is still there.

        Returns:
            ``cancelled``; ``maybe_delivered``: cancelled, but an earlier push of it had an unknown outcome;
            ``in_flight``: it is being pushed; ``already_final``: delivered, cancelled or dead; ``not_found``.

        Raises:
            QueueUnavailable: No answer within the timeout: it may have been cancelled. Retrying is safe.
        """
        prefix = channel_prefix(check_channel_name(channel))
        with translating(channel):
            reply: bytes = _CANCEL.call(self._redis, prefix, "", message_id)
        return cast("CancelResult", reply.decode())

    def decide(
        self, channel: str, key: str, verdict: Verdict, *, message: Message | None = None, reason: str = ""
    ) -> Verdict:
        """Decides on a key, once, for the messages that are held for it and for those still to come.

        Args:
            channel: Its name.
            key: The key that the messages are held for.
            verdict: ``discard`` does the same as ``forbid``: the message becomes a dead letter, ``forbidden``.
            message: For ``rewrite``: a message with the new text or object; its recipient is ignored.
            reason: For ``forbid``: the reason, which is kept with the dead letter.

        Returns:
            The verdict that applies: an earlier decision on the key is not changed.

        Raises:
            InvalidMessage: The key, the verdict or the new message is wrong.
            UnknownChannel: The channel is not registered.
            QueueFull: Redis is full; nothing was decided.
            QueueUnavailable: No answer within the timeout: it may have been decided. Retrying is safe.
        """
        return self.decide_once(channel, key, verdict, message=message, reason=reason).verdict

    def decide_once(
        self,
        channel: str,
        key: str,
        verdict: Verdict,
        *,
        message: Message | None = None,
        reason: str = "",
        brief: bool = False,
    ) -> StandingDecision:
        """Like ``decide``, but also returns whether the decision that applies is the requested one.

        ``brief`` keeps the decision for the channel's retention instead of for as long as a message may be held.
        """
        prefix = channel_prefix(check_channel_name(channel))
        decision = decision_of(self._limits_of(channel), key, verdict, message, reason)
        met, left = 0, 1
        while left:
            with translating(channel):
                reply = _DECIDE.call(self._redis, prefix, "", key, decision, int(brief))
            standing, left = read_decision(channel, decision, reply)
            met += standing.met
        return replace(standing, met=met)

    def kind_of(self, channel: str) -> str:
        """The channel's kind, ``cinnox`` or ``third_party``. Raises UnknownChannel and QueueUnavailable."""
        return self._limits_of(channel).kind

    def _limits_of(self, channel: str) -> Limits:
        if known := self._limits.get(channel):
            return known
        with translating(channel):
            fields = self._redis.hmget(f"{channel_prefix(channel)}channel", LIMIT_FIELDS)
        return self._limits.put(channel, fields)

    def _accept(self, channel: str, entries: Sequence[Entry], span: Span) -> list[Receipt]:
        arguments = arguments_of(entries[0].message.kind, entries, span.context)
        with translating(channel, entries[0].message_id):
            reply = _ENQUEUE.call(self._redis, channel_prefix(channel), *arguments)
        return read_receipts(channel, entries, reply)
