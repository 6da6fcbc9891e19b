"""``/v1/channels/{channel}/messages``: services enqueue over HTTP, and query or cancel what they enqueued.

The body is the JSON form of a message (``message_json.py``), or a list of them that is accepted whole or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect

from pushlane.callback.http.problems import REFUSED, Busy, check_is_json, refusal
from pushlane.callback.http.web import json_response, problem, read_body
from pushlane.enqueue_protocol import CHUNK
from pushlane.errors import InvalidMessage, PushlaneError
from pushlane.message import check_idempotency_key
from pushlane.message_json import Form, build, load, load_elements
from pushlane.service.json_fields import as_fields
from pushlane.strict_json import is_list

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from pushlane.async_producer import AsyncProducer
    from pushlane.callback.http.web import ApiKeys

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
"""4 KiB for each message of a full list. More would take too much memory, and time that moderation needs."""
RECEIVE_S: Final = 4.0
"""How long a body may take to arrive: 4 MiB over 9 Mbit/s."""
LARGE_BYTES: Final = 64 * 1024
"""A larger body needs a slot while it arrives, and such bodies are parsed and stored one at a time."""
LARGE_AT_ONCE: Final = 4
"""Slots, of 4 MiB each. While it is parsed and stored, the worst body takes 45 MB more: four bytes per character."""
SLOT_S: Final = 0.25
TURN_S: Final = 0.75
"""How long a body waits for its slot and its turn before its sender has to retry: a second of the server's grace."""
SLICE_S: Final = 0.002
"""After this time with one body, others get a turn; a single message of it takes 10 ms at worst."""
MESSAGE_ID: Final = re.compile(r"[0-9a-f]{32}")

_HOW_MANY = f"must be 1 to {CHUNK} in a list"
_NOT_CANCELLED = {
    "in_flight": "the message is being pushed",
    "already_final": "the message is delivered, cancelled or dead",
}


class Messages:
    """The routes, for services with an API key."""

    def __init__(self, producer: AsyncProducer, keys: ApiKeys) -> None:
        self._producer = producer
        self._keys = keys
        self._slots = asyncio.Semaphore(LARGE_AT_ONCE)
        self._turn = asyncio.Semaphore(1)

    async def enqueue(self, request: Request) -> Response:
        """202 with the receipt, or with ``{"receipts": […]}`` for a list."""
        channel = request.path_params["channel"]
        if (refused := self._keys.refuse(request, channel)) is not None:
            return refused
        try:
            check_is_json(request)
            key = _idempotency_key(request)
            async with _waiting_for(self._slots, SLOT_S) if _may_be_large(request) else contextlib.nullcontext():
                body = await read_body(request, MAX_BODY_BYTES, within_s=RECEIVE_S)
                async with _waiting_for(self._turn, TURN_S) if len(body) > LARGE_BYTES else contextlib.nullcontext():
                    document = await self._enqueue(request, channel, body, key)
        except REFUSED as error:
            return refusal(error, "perhaps accepted, so retry with the same Idempotency-Key")
        return json_response(document, 202)

    async def one(self, request: Request) -> Response:
        """One message: ``GET`` returns its status, ``DELETE`` cancels it."""
        channel, message_id = request.path_params["channel"], request.path_params["message_id"]
        if (refused := self._keys.refuse(request, channel)) is not None:
            return refused
        if not MESSAGE_ID.fullmatch(message_id):
            return _not_found()
        cancels = request.method == "DELETE"
        try:
            return await (self._cancel if cancels else self._status)(channel, message_id)
        except PushlaneError as error:
            return refusal(error, "perhaps cancelled; retrying is safe" if cancels else "retrying is safe")

    async def _enqueue(self, request: Request, channel: str, body: bytes, key: str | None) -> dict[str, Any]:
        if not is_list(body):
            return as_fields(await self._producer.send_form(channel, _keyed(build(load(body, "message")), key)))
        forms = await _read_list(request, body, key)
        return {"receipts": [as_fields(receipt) for receipt in await self._producer.send_forms(channel, forms)]}

    async def _status(self, channel: str, message_id: str) -> Response:
        status = await self._producer.status(channel, message_id)
        return await self._absent(channel) if status is None else json_response(as_fields(status))

    async def _cancel(self, channel: str, message_id: str) -> Response:
        result = await self._producer.cancel(channel, message_id)
        if result == "not_found":
            return await self._absent(channel)
        if result in _NOT_CANCELLED:
            return problem(409, "Conflict", _NOT_CANCELLED[result], result=result)
        return json_response({"message_id": message_id, "result": result})

    async def _absent(self, channel: str) -> Response:
        """Raises UnknownChannel if it is the channel that is absent."""
        await self._producer.kind_of(channel)
        return _not_found()


@contextlib.asynccontextmanager
async def _waiting_for(slot: asyncio.Semaphore, within_s: float) -> AsyncIterator[None]:
    """Holds a slot. Raises Busy if none is free in time."""
    try:
        async with asyncio.timeout(within_s):
            await slot.acquire()
    except TimeoutError:
        raise Busy from None
    try:
        yield
    finally:
        slot.release()


def _not_found() -> Response:
    return problem(404, "Not Found", "no message has this id: it was never accepted, or its retention is over")


def _may_be_large(request: Request) -> bool:
    length = request.headers.get("content-length")
    return length is None or int(length) > LARGE_BYTES


async def _read_list(request: Request, body: bytes, key: str | None) -> list[Form]:
    """The messages, parsed one by one: a thread would block the interpreter just as much, and could not be stopped."""
    forms: list[Form] = []
    since = time.monotonic()
    for index, fields in enumerate(load_elements(body, "message")):
        if index == CHUNK:
            raise InvalidMessage("messages", _HOW_MANY, limit=CHUNK)
        forms.append(_element(index, fields, key))
        if time.monotonic() - since > SLICE_S:
            if await request.is_disconnected():
                raise ClientDisconnect
            await asyncio.sleep(0)
            since = time.monotonic()
    if not forms:
        raise InvalidMessage("messages", _HOW_MANY, limit=CHUNK)
    return forms


def _idempotency_key(request: Request) -> str | None:
    values = request.headers.getlist("idempotency-key")
    if len(values) > 1:
        raise InvalidMessage("Idempotency-Key", "is given twice")
    return check_idempotency_key(values[0]) if values else None


def _element(index: int, fields: object, key: str | None) -> Form:
    try:
        return _keyed(build(fields), None if key is None else check_idempotency_key(f"{key}/{index}"))
    except InvalidMessage as error:
        raise error.at(index) from None


def _keyed(form: Form, key: str | None) -> Form:
    """The form with the header's key. It may have its own, if that is the same."""
    if key is None:
        return form
    if form.options.idempotency_key not in {None, key}:
        raise InvalidMessage("idempotency_key", "differs from the key that the header Idempotency-Key implies")
    return replace(form, options=replace(form.options, idempotency_key=key))
