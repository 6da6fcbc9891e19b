"""The answers to errors: ``application/problem+json`` (RFC 9457).

They contain only what the caller can use: neither a message's text nor where Redis is.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException

from pushlane.callback.http.web import BodyRefused, problem
from pushlane.errors import (
    IdempotencyConflict,
    InvalidMessage,
    PushlaneError,
    QueueFull,
    QueueUnavailable,
    UnknownChannel,
)
from pushlane.service.logs import logger

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

RETRY_AFTER_AWAY_S: Final = 1
"""After a restart, Redis is back at once; after anything else, that is unknown."""


class WrongMediaType(Exception):
    """The body is not JSON by its media type."""


class Busy(Exception):
    """The process already holds as many large bodies as it may; nothing was done."""


def check_is_json(request: Request) -> None:
    """Raises WrongMediaType for a Content-Type other than JSON in UTF-8. Without one, the body counts as JSON."""
    values = request.headers.getlist("content-type")
    kind, *parameters = (part.strip().lower() for part in (values or ["application/json"])[0].split(";"))
    known = all(parameter in {"", "charset=utf-8", 'charset="utf-8"'} for parameter in parameters)
    if len(values) > 1 or kind != "application/json" or not known:
        raise WrongMediaType


REFUSED: Final = (PushlaneError, BodyRefused, WrongMediaType, Busy)
"""The errors that ``refusal`` answers."""


def refusal(error: PushlaneError | BodyRefused | WrongMediaType | Busy, again: str) -> Response:
    """The answer to a request that failed with this error. Raises the error again if no caller can cause it.

    ``again`` says whether and how to retry a request that Redis did not answer.
    """
    match error:
        case WrongMediaType():
            return problem(415, "Unsupported Media Type", "the body must be application/json, in UTF-8")
        case Busy():
            headers = {"Retry-After": str(RETRY_AFTER_AWAY_S)}
            detail = "too many large bodies at once; nothing was done"
            return problem(503, "Service Unavailable", detail, headers=headers)
        case BodyRefused():
            return problem(error.status, error.title, f"the body {error}", headers=error.headers)
        case InvalidMessage():
            facts: dict[str, Any] = {name: getattr(error, name) for name in ("field", "problem", "index", "limit")}
            given = {name: fact for name, fact in facts.items() if fact is not None}
            return problem(422, "Unprocessable Content", str(error), **given)
    return _of_queue(error, again)


def _of_queue(error: PushlaneError, again: str) -> Response:
    match error:
        case UnknownChannel():
            return problem(404, "Not Found", str(error))
        case IdempotencyConflict():
            return problem(409, "Conflict", str(error), message_id=error.message_id)
        case QueueFull():
            headers = {"Retry-After": str(math.ceil(error.retry_after_s))}
            return problem(429, "Too Many Requests", str(error), headers=headers)
        case QueueUnavailable():
            logger().warning("queue.unavailable", problem=str(error))
            known: dict[str, Any] = {} if error.message_id is None else {"message_id": error.message_id}
            headers = {"Retry-After": str(RETRY_AFTER_AWAY_S)}
            detail = f"the queue did not answer in time: {again}"
            return problem(503, "Service Unavailable", detail, headers=headers, **known)
    raise error


async def of_routing(_request: Request, error: Exception) -> Response:
    """For an unknown address, or a method that it does not have."""
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers or {})
    if "Allow" in headers:
        headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
    detail = f"the allowed methods are {headers['Allow']}" if "Allow" in headers else "there is nothing at this address"
    return problem(error.status_code, HTTPStatus(error.status_code).phrase, detail, headers=headers)


async def of_defect(_request: Request, _error: Exception) -> Response:
    """For bugs. The log has the cause; the caller learns nothing about our internals."""
    return problem(500, "Internal Server Error", "a bug in the server; its log has the cause")
