"""The document's part for the chat platform's moderation requests."""

from typing import Any, Final

from pushlane.callback.http.web import MAX_BODY_BYTES
from pushlane.callback.openapi.part import Part, json_content, object_of, operation, ref, schema_of
from pushlane.callback.tencent.answer import OWN_CODES
from pushlane.callback.tencent.question import C2C, Question
from pushlane.callback.verdict import MAX_TEXT_CHARS

_HELLO: Final = {
    "CallbackCommand": C2C,
    "From_Account": "jared",
    "To_Account": "john",
    "MsgSeq": 48374,
    "MsgRandom": 2837546,
    "MsgTime": 1557481126,
    "MsgKey": "48374_2837546_1557481126",
    "OnlineOnlyFlag": 0,
    "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "Hello"}}],
    "CloudCustomData": "",
}
_ALLOWED: Final = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
_OWN: Final = [{"minimum": codes.start, "maximum": codes.stop - 1} for codes in OWN_CODES.values()]


def _parameter(name: str, description: str, example: str, **schema: str) -> dict[str, Any]:
    kind = {"type": "string", **schema}
    return {"name": name, "in": "query", "description": description, "schema": kind, "example": example}


_PARAMETERS: Final = [
    _parameter("SdkAppid", "One of `SDK_APP_IDS`.", "1400000001", pattern="^[0-9]+$") | {"required": True},
    _parameter("CallbackCommand", "The kind of request; one that is not moderated gets code 0.", C2C),
    _parameter("contenttype", "Always `json`.", "json"),
    _parameter("ClientIP", "The sender's address, as the platform saw it.", "192.0.2.1"),
    _parameter("OptPlatform", "The sender's platform.", "iOS"),
    _parameter("RequestId", "The platform's own id of the request.", "1"),
]
_SECURITY_SCHEMES: Final = {
    "sign": {
        "type": "apiKey",
        "in": "query",
        "name": "Sign",
        "description": "The hexadecimal SHA-256 of the token, directly followed by `RequestTime`.",
    },
    "request_time": {
        "type": "apiKey",
        "in": "query",
        "name": "RequestTime",
        "description": "Seconds since 1970, ten digits, at most 60 s off.",
    },
}
_ANSWER: Final = object_of(
    {
        "ActionStatus": {"const": "OK"},
        "ErrorInfo": {"type": "string", "maxLength": MAX_TEXT_CHARS},
        "ErrorCode": {
            "type": "integer",
            "description": "0: it passes; 1: it is refused; 2: it is dropped; else one of the command's own codes.",
            "anyOf": [{"enum": [0, 1, 2]}, *_OWN],
        },
    },
    {
        "MsgBody": {"type": "array", "items": {"type": "object"}, "description": "It passes, changed to this."},
        "CloudCustomData": {"type": "string", "description": "It passes with this."},
    },
    additionalProperties=False,
)


def part(*, signed: bool) -> Part:
    """The callback. Without a token it is not signed, and only the network that it comes from is checked."""
    asked = schema_of(Question)
    question = operation(
        "moderate",
        "moderation",
        "May this message pass?",
        description="Always 200 for an authenticated caller: the platform treats anything else as a failure, and "
        f"delivers. A body that cannot be read or has more than {MAX_BODY_BYTES} bytes gets the answer of `ON_ERROR`.",
        security=[{name: [] for name in _SECURITY_SCHEMES}] if signed else [],
        parameters=_PARAMETERS,
        requestBody={"content": json_content(ref("Question"), hello=_HELLO)},
        responses={
            "200": {"description": "The answer.", "content": json_content(ref("Answer"), allowed=_ALLOWED)},
            "401": {"description": "Not signed by the platform, or not from one of its networks; it has no body."},
        },
    )
    schemas = asked.pop("$defs", {}) | {"Question": asked, "Answer": _ANSWER}
    return Part({"/tencent/callback": {"post": question}}, schemas, _SECURITY_SCHEMES if signed else {})
