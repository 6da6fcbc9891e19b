"""``AsyncProducer``: ``Producer`` for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Self, cast

from pushlane.channel_record import LIMIT_FIELDS, LimitsCache
from pushlane.clients import connect_async
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
from pushlane.errors import PushlaneError, QueueUnavailable
from pushlane.keys import channel_prefix
from pushlane.message import Limits, Message, check_channel_name
from pushlane.message_json import Form
from pushlane.scripts import Script
from pushlane.send_options import SendOptions
from pushlane.tracing import sending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import timedelta

    import redis.asyncio

    from pushlane.hold import Hold, StandingDecision, Verdict
    from pushlane.receipt import CancelResult, MessageStatus, Receipt
    from pushlane.send_options import When
    from pushlane.tracing import Span

_ENQUEUE, _STATUS = Script("enqueue"), Script("status")
_CANCEL, _DECIDE = Script("cancel"), Script("decide")


class AsyncProducer:
    """``Producer`` for asyncio: the same names, arguments, results and errors. Belongs to one event loop."""

    def __init__(self, redis_url: str | None = None, *, timeout: float = 2.0) -> None:
        self._timeout = timeout
        self._redis = self._connect(redis_url, timeout)
        self._limits = LimitsCache()

    def _connect(self, redis_url: str | None, timeout: float) -> redis.asyncio.Redis:
        # One timeout covers each request as a whole; see _asking.
        return connect_async(address_of(redis_url), timeout=None, connect_timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes its connections."""
        await self._redis.aclose()

    async def send(
        self,
        channel: str,
        message: Message,
        *,
        idempotency_key: str | None = None,
        not_before: When | None = None,
        expires_in: timedelta | float | None = None,
        hold: Hold | None = None,
    ) -> Receipt:
        """Enqueues one message; see ``Producer.send``."""
        return await self.send_form(
            channel, Form(message, SendOptions.check(idempotency_key, not_before, expires_in, hold))
        )

    async def send_form(self, channel: str, form: Form) -> Receipt:
        """Enqueues a message with its own options; see ``Producer.send``."""
        with sending(channel) as span:
            entries = prepare(channel, await self._limits_of(channel), [form], single=True)
            describe(span, entries)
            return (await self._accept(channel, entries, span))[0]

    async def send_many(
        self,
        channel: str,
        messages: Sequence[Message],
        *,
        idempotency_key: str | None = None,
        not_before: When | None = None,
        expires_in: timedelta | float | None = None,
    ) -> list[Receipt]:
        """Enqueues many messages in order; see ``Producer.send_many``."""
        options = SendOptions.check(idempotency_key, not_before, expires_in)
        return await self.send_forms(channel, forms_of(messages, options))

    async def send_forms(self, channel: str, forms: Sequence[Form]) -> list[Receipt]:
        """Enqueues messages that each have their own options; see ``Producer.send_forms``."""
        with sending(channel) as span:
            entries = prepare(channel, await self._limits_of(channel), forms, single=False)
            describe(span, entries)
            receipts: list[Receipt] = []
            for chunk in chunks(entries):
                try:
                    receipts += await self._accept(channel, chunk, span)
                except PushlaneError as error:
                    error.receipts = tuple(receipts)
                    raise
            return receipts

    async def status(self, channel: str, message_id: str) -> MessageStatus | None:
        """The message's status; see ``Producer.status``."""
        prefix = channel_prefix(check_channel_name(channel))
        async with self._asking(channel):
            reply = await _STATUS.call_async(self._redis, prefix, "", message_id)
        return read_status(channel, message_id, reply)

    async def cancel(self, channel: str, message_id: str) -> CancelResult:
        """Takes the message out of the queue; see ``Producer.cancel``."""
        prefix = channel_prefix(check_channel_name(channel))
        async with self._asking(channel):
            reply: bytes = await _CANCEL.call_async(self._redis, prefix, "", message_id)
        return cast("CancelResult", reply.decode())

    async def decide(
        self, channel: str, key: str, verdict: Verdict, *, message: Message | None = None, reason: str = ""
    ) -> Verdict:
        """Decides on a key, once; see ``Producer.decide``."""
        return (await self.decide_once(channel, key, verdict, message=message, reason=reason)).verdict

    async def decide_once(
        self,
        channel: str,
        key: str,
        verdict: Verdict,
        *,
        message: Message | None = None,
        reason: str = "",
        brief: bool = False,
    ) -> StandingDecision:
        """Decides on a key, once; see ``Producer.decide_once``."""
        prefix = channel_prefix(check_channel_name(channel))
        decision = decision_of(await self._limits_of(channel), key, verdict, message, reason)
        met, left = 0, 1
        while left:
            async with self._asking(channel):
                reply = await _DECIDE.call_async(self._redis, prefix, "", key, decision, int(brief))
            standing, left = read_decision(channel, decision, reply)
            met += standing.met
        return replace(standing, met=met)

    async def kind_of(self, channel: str) -> str:
        """The channel's kind; see ``Producer.kind_of``."""
        return (await self._limits_of(channel)).kind

    async def _limits_of(self, channel: str) -> Limits:
        if known := self._limits.get(channel):
            return known
        async with self._asking(channel):
            fields = await self._redis.hmget(f"{channel_prefix(channel)}channel", LIMIT_FIELDS)
        return self._limits.put(channel, fields)

    async def _accept(self, channel: str, entries: Sequence[Entry], span: Span) -> list[Receipt]:
        arguments = arguments_of(entries[0].message.kind, entries, span.context)
        async with self._asking(channel, entries[0].message_id):
            reply = await _ENQUEUE.call_async(self._redis, channel_prefix(channel), *arguments)
        return read_receipts(channel, entries, reply)

    @contextlib.asynccontextmanager
    async def _asking(self, channel: str, message_id: str | None = None) -> AsyncIterator[None]:
        """Limits the time of a request to Redis, including the wait for a connection, and translates its errors."""
        try:
            with translating(channel, message_id):
                async with asyncio.timeout(self._timeout):
                    yield
        except TimeoutError as error:
            raise QueueUnavailable(f"no answer within {self._timeout:g} s", message_id) from error
