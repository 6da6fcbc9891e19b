"""``POST /v1/channels/{channel}/decisions/{key}``: a service decides on the messages that are held for a key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pushlane.callback.web import CLOSE, BodyTooLarge, BodyTooSlow, json_response, problem, read_body
from pushlane.errors import InvalidMessage, QueueFull, QueueUnavailable, UnknownChannel
from pushlane.form import build

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from pushlane.callback.web import ApiKeys
    from pushlane.outbox import AsyncProducer

_FIELDS = frozenset({"verdict", "message", "reason"})


class Holds:
    """The route, for services with an API key."""

    def __init__(self, producer: AsyncProducer, keys: ApiKeys) -> None:
        self._producer = producer
        self._keys = keys

    async def decide(self, request: Request) -> Response:
        """``{"verdict": "allow" | "rewrite" | "forbid" | "discard", "message"?, "reason"?}``; 200 with what stands."""
        channel, key = request.path_params["channel"], request.path_params["key"]
        if (refused := self._keys.refuse(request, channel)) is not None:
            return refused
        try:
            standing = await self._decide(channel, key, await read_body(request))
        except BodyTooLarge as error:
            if isinstance(error, BodyTooSlow):
                refused = problem(408, "Request Timeout", f"the body {error}", headers=CLOSE)
            else:
                refused = problem(413, "Content Too Large", f"the body {error}")
            return refused
        except InvalidMessage as error:
            return problem(422, "Unprocessable Content", str(error), field=error.field)
        except UnknownChannel as error:
            return problem(404, "Not Found", str(error))
        except (QueueUnavailable, QueueFull) as error:
            return problem(503, "Service Unavailable", str(error), headers={"Retry-After": "1"})
        return json_response({"key": key, "verdict": standing})

    async def _decide(self, channel: str, key: str, body: bytes) -> str:
        fields = _fields(body)
        message = None if fields.get("message") is None else build(fields["message"]).message
        reason = fields.get("reason") or ""
        return await self._producer.decide(channel, key, fields["verdict"], message=message, reason=reason)


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise InvalidMessage("body", "is not JSON in UTF-8") from None
    if not isinstance(fields, dict):
        raise InvalidMessage("body", "must be a JSON object")
    for name in fields:
        if name not in _FIELDS:
            raise InvalidMessage("body", "has a field that is none of verdict, message and reason")
    if not isinstance(fields.get("reason") or "", str):
        raise InvalidMessage("reason", "must be a string")
    if not isinstance(fields.get("verdict"), str):
        raise InvalidMessage("verdict", "must be a string")
    return fields
