"""The JSON form of a message (``message_json.py``) as JSON Schema."""

from typing import Any, Final

from pushlane.callback.openapi.part import ID, object_of, ref
from pushlane.hold import MAX_HOLD_DAYS
from pushlane.message import MAX_KEY_CHARS
from pushlane.send_options import MAX_AHEAD_DAYS

MAX_TEXT_CHARS: Final = 5000
"""The chat API's limit, and so the one in a channel's record."""
_DAY_S: Final = 86_400


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return schema | {"type": [schema["type"], "null"]}


def _object(required: dict[str, Any], optional: dict[str, Any]) -> dict[str, Any]:
    return object_of(required, optional, additionalProperties=False)


_KEY = {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS, "pattern": r"^[\x20-\x7e]+$"}
_NOT_BEFORE = {
    "type": "string",
    "format": "date-time",
    "description": f"When it joins its conversation: RFC 3339, at most {MAX_AHEAD_DAYS} days ahead.",
}
_EXPIRES = {
    "type": "number",
    "exclusiveMinimum": 0,
    "maximum": MAX_AHEAD_DAYS * _DAY_S,
    "description": "Seconds for which it may be delivered.",
}
_OPTIONS: Final = {
    "idempotency_key": _or_null(_KEY),
    "not_before": _or_null(_NOT_BEFORE),
    "expires_in_s": _or_null(_EXPIRES),
    "hold": {"anyOf": [ref("Hold"), {"type": "null"}]},
}
_ROOM = {"room_id": ID, "text": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_CHARS}}
_EIDS = {"sender_eid": _or_null(ID), "receiver_eid": _or_null(ID)}
_USER = {"user_id": ID, "message": {"type": "object", "description": "At most 64 KiB, nested at most 64 levels deep."}}
_ONE_WAIT = {
    "description": "`hold` cannot be combined with `not_before`.",
    "anyOf": [{"properties": {name: {"type": "null"}}} for name in ("hold", "not_before")],
}

SCHEMAS: Final = {
    "RoomMessage": _object(_ROOM, _EIDS) | {"description": "For a channel of kind `cinnox`."},
    "UserMessage": _object(_USER, {}) | {"description": "For a channel of kind `third_party`."},
    "RoomForm": _object(_ROOM, _EIDS | _OPTIONS) | _ONE_WAIT,
    "UserForm": _object(_USER, _OPTIONS) | _ONE_WAIT,
    "Hold": _object(
        {
            "key": ID,
            "timeout_s": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_HOLD_DAYS * _DAY_S},
        },
        {"on_timeout": {"enum": ["dead_letter", "release", None]}},
    ),
}
