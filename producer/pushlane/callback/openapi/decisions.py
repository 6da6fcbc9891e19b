"""The document's part for decisions on held messages."""

from typing import Final

from pushlane.callback.http.web import MAX_BODY_BYTES
from pushlane.callback.openapi.part import (
    CHANNEL,
    ID,
    NEEDS_KEY,
    Part,
    json_content,
    object_of,
    operation,
    path_parameter,
    problems,
    ref,
)
from pushlane.hold import VERDICTS

_REASON: Final = {"type": ["string", "null"], "description": "For `forbid`: why; kept with the dead letter."}
_MESSAGE: Final = {"anyOf": [ref("RoomMessage"), ref("UserMessage")], "description": "Only its content counts."}
_VERDICT: Final = {"enum": list(VERDICTS)}

_KEY: Final = path_parameter(
    "key", ID, "refund-7", description="The key that the messages are held for, percent-encoded."
)
_DECIDE: Final = operation(
    "decide",
    "decisions",
    "Decides on the messages that are held for a key, and on those still to come.",
    description=f"The first decision on a key applies. The body has at most {MAX_BODY_BYTES} bytes.",
    security=NEEDS_KEY,
    parameters=[CHANNEL, _KEY],
    requestBody={
        "required": True,
        "content": json_content(
            ref("Decision"),
            allow={"verdict": "allow"},
            forbid={"verdict": "forbid", "reason": "too much"},
            rewrite={"verdict": "rewrite", "message": {"room_id": "room-1", "text": "A refund"}},
        ),
    },
    responses={
        "200": {
            "description": "This decision applies, from now on or since an earlier request.",
            "content": json_content(ref("Standing"), allow={"key": "refund-7", "verdict": "allow"}),
        },
        **problems(
            *(401, 403, 404, 408, 409, 413, 415, 422, 429, 503),
            on_404="The channel is not registered.",
            on_409="There is already another decision on the key, and nothing was changed: `verdict` says which.",
            on_503="Redis did not answer in time: perhaps decided; retrying is safe.",
        ),
    },
)

PART: Final = Part(
    paths={"/v1/channels/{channel}/decisions/{key}": {"post": _DECIDE}},
    schemas={
        "Decision": object_of({"verdict": _VERDICT}, {"message": {}, "reason": _REASON}, additionalProperties=False)
        | {
            "if": {"properties": {"verdict": {"const": "rewrite"}}},
            "then": {"properties": {"message": _MESSAGE}, "required": ["message"]},
            "else": {"properties": {"message": {"type": "null"}}},
        },
        "Standing": object_of({"key": ID, "verdict": _VERDICT}),
    },
)
