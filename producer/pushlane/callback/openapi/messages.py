"""The document's part for enqueueing, and for the status of a message."""

from typing import Any, Final

from pushlane.callback.http.messages import MAX_BODY_BYTES, MESSAGE_ID
from pushlane.callback.openapi import forms
from pushlane.callback.openapi.part import (
    CHANNEL,
    NEEDS_KEY,
    PROBLEM,
    Part,
    json_content,
    object_of,
    operation,
    path_parameter,
    problems,
    ref,
    schema_of,
)
from pushlane.enqueue_protocol import CHUNK
from pushlane.message import MAX_KEY_CHARS
from pushlane.message_record import REASONS, STATES
from pushlane.outcome import Outcome
from pushlane.push_record import MAX_PUSHES, PushRecord
from pushlane.receipt import MessageStatus, Receipt

_ID: Final = "0123456789abcdef0123456789abcdef"
_ROOM: Final = {"room_id": "room-1", "text": "Your parcel has left", "idempotency_key": "order-7-shipped"}
_LATER: Final = {"room_id": "room-1", "text": "Your visit is tomorrow", "not_before": "2026-11-30T08:00:00Z"}
_USER: Final = {"user_id": "user-1", "message": {"type": "text", "text": "Hello"}}
_RECEIPT: Final = {
    "message_id": _ID,
    "channel": "support",
    "conversation": "room-1",
    "sequence": 1,
    "state": "queued",
    "duplicate": False,
}
_STATUS: Final[dict[str, Any]] = {
    "message_id": _ID,
    "channel": "support",
    "conversation": "room-1",
    "state": "delivered",
    "reason": None,
    "detail": None,
    "attempts": 1,
    "maybe_delivered": False,
    "accepted_at": "2026-11-22T14:30:00.000Z",
    "joined_at": "2026-11-22T14:30:00.000Z",
    "due_at": None,
    "final_at": "2026-11-22T14:30:00.150Z",
    "last_push": "2026-11-22T14:30:00.150Z",
    "pushes": [],
    "pushes_cut": False,
}
_PUSH: Final = {
    "number": 1,
    "at": "2026-11-22T14:30:00.120Z",
    "outcome": "failed",
    "position": 3,
    "size": 10,
    "duration_ms": 115,
    "lost": False,
    "detail": "503",
}
_RETRIED: Final = {
    **_STATUS,
    "attempts": 2,
    "final_at": "2026-11-22T14:30:01.150Z",
    "last_push": "2026-11-22T14:30:01.150Z",
    "pushes": [
        _PUSH,
        {**_PUSH, "number": 2, "at": "2026-11-22T14:30:01.150Z", "outcome": "delivered", "detail": None},
    ],
}
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Sending the same key and message again does not enqueue it twice. Element i of a list has the key "
    f"`{{key}}/{{i}}`, also of at most {MAX_KEY_CHARS} characters. A message's own `idempotency_key` must be the same.",
    "schema": {"type": "string", "maxLength": MAX_KEY_CHARS, "pattern": r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$"},
    "example": "order-7-shipped",
}
_MESSAGE_ID: Final = path_parameter("message_id", {"type": "string", "pattern": f"^{MESSAGE_ID.pattern}$"}, _ID)


def _status_schema() -> dict[str, Any]:
    schema = schema_of(MessageStatus)
    del schema["$defs"]  # PushRecord is a schema of its own
    schema["properties"]["state"] |= {"enum": [*STATES.values(), "in_flight"]}
    schema["properties"]["reason"] = {"enum": [*REASONS.values(), None]}
    schema["properties"]["pushes"] |= {"maxItems": MAX_PUSHES}
    return schema


def _push_schema() -> dict[str, Any]:
    schema = schema_of(PushRecord)
    schema["properties"]["outcome"] |= {"enum": [one.name.lower() for one in Outcome if one is not Outcome.UNSENT]}
    return schema


def _list_of(schema: str) -> dict[str, Any]:
    return {"type": "array", "items": ref(schema), "minItems": 1, "maxItems": CHUNK}


_ENQUEUE: Final = operation(
    "enqueue",
    "messages",
    "Enqueues one message, or a list of them.",
    description=f"A list of 1 to {CHUNK} messages keeps its order and is accepted whole or not at all. The body has "
    f"at most {MAX_BODY_BYTES} bytes: {CHUNK} messages of {MAX_BODY_BYTES // CHUNK} bytes, or fewer larger ones.",
    security=NEEDS_KEY,
    parameters=[CHANNEL, _KEY],
    requestBody={
        "required": True,
        "content": json_content(ref("Messages"), one=_ROOM, several=[_ROOM, _LATER], of_a_user=_USER),
    },
    responses={
        "202": {
            "description": "Accepted: the receipt, or for a list all receipts in its order.",
            "content": json_content(ref("Receipts"), one=_RECEIPT, several={"receipts": [_RECEIPT]}),
        },
        **problems(
            *(401, 403, 404, 408, 409, 413, 415, 422, 429, 503),
            on_404="The channel is not registered.",
            on_409="The idempotency key was used before, for another message.",
            on_503="Redis did not answer in time: perhaps accepted, so retry with the same key. Or too many large "
            "bodies arrived at once, as `detail` says; then nothing was done.",
        ),
    },
)
_GET: Final = operation(
    "status",
    "messages",
    "The status of a message, without its text.",
    security=NEEDS_KEY,
    parameters=[CHANNEL, _MESSAGE_ID],
    responses={
        "200": {
            "description": "The status.",
            "content": json_content(ref("MessageStatus"), delivered=_STATUS, retried=_RETRIED),
        },
        **problems(401, 403, 404, 503),
    },
)
_DELETE: Final = operation(
    "cancel",
    "messages",
    "Takes a message out of the queue, if it is still there.",
    description="Its status can still be read: it is `cancelled`.",
    security=NEEDS_KEY,
    parameters=[CHANNEL, _MESSAGE_ID],
    responses={
        "200": {
            "description": "It is cancelled; `maybe_delivered` if an earlier push of it had an unknown outcome.",
            "content": json_content(ref("Cancelled"), cancelled={"message_id": _ID, "result": "cancelled"}),
        },
        **problems(
            *(401, 403, 404, 409, 503),
            on_409="It is being pushed (`in_flight`), or it is delivered, cancelled or dead (`already_final`).",
        ),
    },
)

PART: Final = Part(
    paths={
        "/v1/channels/{channel}/messages": {"post": _ENQUEUE},
        "/v1/channels/{channel}/messages/{message_id}": {"get": _GET, "delete": _DELETE},
    },
    schemas={
        **forms.SCHEMAS,
        "Messages": {"anyOf": [ref("RoomForm"), ref("UserForm"), _list_of("RoomForm"), _list_of("UserForm")]},
        "Receipt": schema_of(Receipt),
        "Receipts": {"anyOf": [ref("Receipt"), object_of({"receipts": _list_of("Receipt")})]},
        "MessageStatus": _status_schema(),
        "PushRecord": _push_schema(),
        "Cancelled": object_of(
            {"message_id": {"type": "string"}, "result": {"enum": ["cancelled", "maybe_delivered"]}}
        ),
        "Problem": PROBLEM,
    },
)
