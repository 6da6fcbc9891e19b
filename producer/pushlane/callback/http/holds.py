"""``POST /v1/channels/{channel}/decisions/{key}``: a service decides on the messages that are held for a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from pushlane.callback.http.problems import REFUSED, check_is_json, refusal
from pushlane.callback.http.web import json_response, problem, read_body
from pushlane.errors import InvalidMessage
from pushlane.message_json import build, load
from pushlane.send_options import NO_OPTIONS

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from pushlane.async_producer import AsyncProducer
    from pushlane.callback.http.web import ApiKeys
    from pushlane.message import Message


class Holds:
    """The route, for services with an API key."""

    def __init__(self, producer: AsyncProducer, keys: ApiKeys) -> None:
        self._producer = producer
        self._keys = keys

    async def decide(self, request: Request) -> Response:
        """``{"verdict": "allow" | "rewrite" | "forbid" | "discard", "message"?, "reason"?}``; else 409 if decided."""
        channel, key = request.path_params["channel"], request.path_params["key"]
        if (refused := self._keys.refuse(request, channel)) is not None:
            return refused
        try:
            check_is_json(request)
            _check_is_text(request)
            fields = _fields(await read_body(request))
            verdict, message, reason = fields["verdict"], _message(fields), fields.get("reason") or ""
            standing = await self._producer.decide_once(channel, key, verdict, message=message, reason=reason)
        except REFUSED as error:
            return refusal(error, "perhaps decided; retrying is safe")
        if not standing.same:
            detail = f"the key was decided before, differently: {standing.verdict}"
            return problem(409, "Conflict", detail, verdict=standing.verdict)
        # The requested one: to the queue, a discard is a forbid.
        return json_response({"key": key, "verdict": verdict})


def _check_is_text(request: Request) -> None:
    """Raises InvalidMessage for a path that is not UTF-8: replacement characters would make different keys equal."""
    try:
        unquote_to_bytes(request.scope["raw_path"]).decode()
    except UnicodeDecodeError:
        raise InvalidMessage("key", "is not UTF-8") from None


def _fields(body: bytes) -> dict[str, Any]:
    fields = load(body, "body")
    if not isinstance(fields, dict):
        raise InvalidMessage("body", "must be a JSON object")
    if not fields.keys() <= {"verdict", "message", "reason"}:
        raise InvalidMessage("body", "has a field other than verdict, message and reason")
    if not isinstance(fields.get("reason"), str | None):
        raise InvalidMessage("reason", "must be a string")
    if not isinstance(fields.get("verdict"), str):
        raise InvalidMessage("verdict", "must be a string")
    return fields


def _message(fields: dict[str, Any]) -> Message | None:
    if fields.get("message") is None:
        return None
    form = build(fields["message"])
    if form.options != NO_OPTIONS:
        raise InvalidMessage("message", "takes no options here: only its content counts")
    return form.message
