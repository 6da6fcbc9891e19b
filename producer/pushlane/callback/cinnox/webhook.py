"""``POST /cinnox/webhook``: enqueues what CINNOX's third-party channel sends.

The answer is ``{"code": 0}`` once the message is stored, so that a sender that retries until then loses nothing. A
retry is the same message: its idempotency key is derived from its id or, without one, from its bytes and the time.
"""

from __future__ import annotations

import asyncio
import math
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from pushlane.callback import template
from pushlane.callback.cinnox.body import Challenge, parse
from pushlane.callback.http.web import BodyRefused, caller, json_response, read_body
from pushlane.connections import UNANSWERED
from pushlane.enqueue_protocol import message_id_of
from pushlane.errors import IdempotencyConflict, InvalidMessage, PushlaneError, QueueFull, UnknownChannel
from pushlane.message_json import Form
from pushlane.send_options import SendOptions, internal_key
from pushlane.service.logs import logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from pushlane.async_producer import AsyncProducer
    from pushlane.callback.cinnox.body import Incoming
    from pushlane.callback.settings import WebhookSettings

STORE_S: Final = 1.5
"""How long storing may take in total, whatever state Redis is in."""
REPEAT_S: Final = 120
"""Without an id, the same bytes count as a retry for at least this long, and for less than twice as long."""


class Webhook:
    """The route. Belongs to one event loop. Raises SettingsError if a webhook's token cannot be read."""

    def __init__(self, producer: AsyncProducer, webhooks: Mapping[str, WebhookSettings]) -> None:
        self._producer = producer
        self._webhooks = webhooks
        self._tokens = {name: webhook.read_tokens() for name, webhook in webhooks.items()}

    async def respond(self, request: Request) -> Response:
        """The answer to one request: 200, 4xx for what can never be stored, or 503 for what should be sent again."""
        name = caller(request, self._tokens)
        if name is None:
            return _refusal(401, "needs a webhook's token: Authorization: Bearer …")
        try:
            asked = parse(await read_body(request))
            if isinstance(asked, Challenge):
                logger().info("webhook.challenged", webhook=name)
                return json_response({"code": 0, "result": {"challenge": asked.value}})
            async with asyncio.timeout(STORE_S):
                await self._store(name, asked)
        except (BodyRefused, PushlaneError, *UNANSWERED) as error:
            # Only our own errors are certain not to quote a message's text.
            problem = str(error) if isinstance(error, BodyRefused | PushlaneError) else type(error).__name__
            logger().warning("webhook.refused", webhook=name, problem=problem)
            return _answer(error)
        return json_response({"code": 0})

    async def _store(self, name: str, incoming: Incoming) -> None:
        settings = self._webhooks[name]
        channel = settings.relay_channel
        to = template.fill(settings.relay_to, incoming.written)
        message = incoming.as_message(await self._producer.kind_of(channel), to)
        if message is None:
            logger().info("webhook.no_text", webhook=name, conversation=to)
            return
        key = await self._key(channel, _digest(name, incoming), named=incoming.named)
        try:
            receipt = await self._producer.send_form(channel, Form(message, SendOptions(key)))
        except IdempotencyConflict as error:
            # The sender's id belongs to a message that is already stored. If refused, it would be sent again and again.
            logger().warning("webhook.conflict", webhook=name, message=error.message_id, conversation=to)
            return
        facts = {"message": receipt.message_id, "conversation": to, "duplicate": receipt.duplicate}
        logger().info("webhook.stored", webhook=name, **facts)

    async def _key(self, channel: str, key: str, *, named: bool) -> str:
        """The idempotency key. Without an id, it is valid for a time window; the previous window is checked, too."""
        if named:
            return key
        window = int(time.time() // REPEAT_S)
        before = f"{key}/{window - 1}"
        known = await self._producer.status(channel, message_id_of(channel, before))
        return f"{key}/{window}" if known is None else before


def _digest(name: str, incoming: Incoming) -> str:
    """It includes the webhook: the same id from two senders is not the same message."""
    digest = sha256(f"{name}/{incoming.identity}".encode(errors="replace")).hexdigest()
    return internal_key(f"webhook/{digest}")


def _answer(error: Exception) -> Response:
    """The answer to an error. It never reveals an address or a channel of ours."""
    match error:
        case BodyRefused():
            return _refusal(error.status, f"the body {error}", headers=error.headers)
        case InvalidMessage():
            return _refusal(400, str(error))
        case QueueFull():
            return _refusal(503, "the queue is full: try again", headers=_retry_after(error.retry_after_s))
        case UnknownChannel():
            return _refusal(503, "the webhook's channel is not registered yet: try again", headers=_retry_after())
    return _refusal(503, "the queue is unavailable: try again", headers=_retry_after())


def _retry_after(seconds: float = 1.0) -> Mapping[str, str]:
    return {"Retry-After": str(math.ceil(seconds))}


def _refusal(code: int, message: str, *, headers: Mapping[str, str] | None = None) -> Response:
    return json_response({"code": code, "message": message}, code, headers)
