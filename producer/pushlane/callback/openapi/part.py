"""Building blocks of the document: answers, problems and parameters that several routes share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from pushlane.message import CHANNEL_NAME, MAX_CHANNEL_NAME_CHARS, MAX_ID_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

API_KEY: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "A service's key: `PUSHLANE_API_KEYS__<SERVICE>__…`.",
}
NEEDS_KEY: Final[list[dict[str, list[str]]]] = [{"api_key": []}]
ID: Final = {
    "type": "string",
    "description": f"1 to {MAX_ID_BYTES} bytes of UTF-8 without control characters.",
    "minLength": 1,
    "maxLength": MAX_ID_BYTES,
    "pattern": r"^[^\x00-\x1f\x7f-\x9f]+$",
}
_PROBLEMS: Final = {
    401: "No API key, or an unknown one.",
    403: "The API key is not for this channel, whether there is such a channel or not.",
    404: "There is no such message, or the channel is not registered.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is compressed, or not `application/json`. Without a Content-Type, it counts as such.",
    422: "The body, the key or the path breaks a rule: `field`, `problem`, and in a list `index`, say which.",
    429: "The channel or Redis is full; nothing was done.",
    503: "Redis did not answer in time.",
}
RETRY_AFTER: Final = {
    "Retry-After": {"required": True, "description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}
}
_HEADERS: Final = {
    401: {"WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}}},
    429: RETRY_AFTER,
    503: RETRY_AFTER,
}


@dataclass(frozen=True, slots=True)
class Part:
    """A group of routes in the document."""

    paths: Mapping[str, Any]
    schemas: Mapping[str, Any] = field(default_factory=dict)
    security_schemes: Mapping[str, Any] = field(default_factory=dict)


def ref(schema: str) -> dict[str, str]:
    """A schema of the document's components."""
    return {"$ref": f"#/components/schemas/{schema}"}


def object_of(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None, **more: object) -> dict[str, Any]:
    """The schema of an object with these fields."""
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required), **more}


def path_parameter(name: str, schema: Mapping[str, Any], example: str, **more: str) -> dict[str, Any]:
    """A parameter in a route's path."""
    return {"name": name, "in": "path", "required": True, "schema": schema, "example": example, **more}


def operation(name: str, tag: str, summary: str, **more: object) -> dict[str, Any]:
    """A method of a route."""
    return {"operationId": name, "tags": [tag], "summary": summary, **more}


def json_content(schema: Mapping[str, Any], **examples: object) -> dict[str, Any]:
    """A JSON body of this schema, with examples by name."""
    return {"application/json": {"schema": schema, "examples": {name: {"value": examples[name]} for name in examples}}}


def problems(*statuses: int, **descriptions: str) -> dict[str, Any]:
    """The answers with these statuses; ``on_409`` and so on describe what one means here."""
    return {str(status): _problem(status, descriptions.get(f"on_{status}", "")) for status in statuses}


def schema_of(kind: type) -> dict[str, Any]:
    """The schema of a dataclass, or of any other type that pydantic knows, with its own definitions in it."""
    schema = TypeAdapter[Any](kind).json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    return {name: value for name, value in schema.items() if name != "title"}


def _problem(status: int, description: str) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": description or _PROBLEMS[status],
        "content": {"application/problem+json": {"schema": ref("Problem")}},
    }
    return answer | ({"headers": _HEADERS[status]} if status in _HEADERS else {})


CHANNEL: Final = path_parameter(
    "channel",
    {"type": "string", "pattern": f"^{CHANNEL_NAME.pattern}$", "maxLength": MAX_CHANNEL_NAME_CHARS},
    "support",
    description="The channel's name; one of those that the API key is for.",
)
PROBLEM: Final = object_of(
    {"title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"}},
    {
        "field": {"type": "string", "description": "The field at fault."},
        "problem": {"type": "string", "description": "What is wrong with it."},
        "index": {"type": "integer", "description": "The message's index in its list, from 0."},
        "limit": {"type": "integer", "description": "The limit that it exceeds."},
        "message_id": {"type": "string", "description": "The message that was perhaps accepted, or that has the key."},
        "result": {"type": "string", "description": "The result of cancelling."},
        "verdict": {"type": "string", "description": "The verdict that applies to the key."},
    },
    description="What went wrong (RFC 9457), without the text of any message.",
)
