"""The document's part for what CINNOX's third-party channel sends."""

from typing import Any, Final

from pushlane.callback.cinnox.body import MAX_CHALLENGE_CHARS, MESSAGE, USER
from pushlane.callback.http.web import MAX_BODY_BYTES
from pushlane.callback.openapi.part import ID, RETRY_AFTER, Part, json_content, object_of, operation, ref

_HELLO: Final = {"userId": "user-1", "message": {"id": "message-1", "text": "Hello"}}
_CHALLENGE: Final = {"type": "string", "minLength": 1, "maxLength": MAX_CHALLENGE_CHARS}


def _refusal(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": ref("WebhookRefusal")}}}


_TAKE: Final = operation(
    "take",
    "webhook",
    "Enqueues a message, or answers the set-up challenge.",
    description="The token identifies the webhook, and so the channel that the message goes to. A retry is the same "
    f"message. The body has at most {MAX_BODY_BYTES} bytes.",
    security=[{"webhook_token": []}],
    requestBody={
        "required": True,
        "content": json_content(ref("Incoming"), message=_HELLO, challenge={"challenge": "a1b2c3"}),
    },
    responses={
        "200": {
            "description": "Stored, now or before; or the challenge.",
            "content": json_content(
                ref("Taken"), stored={"code": 0}, challenge={"code": 0, "result": {"challenge": "a1b2c3"}}
            ),
        },
        "400": _refusal("It is not a message, or can never be relayed."),
        "401": _refusal("No webhook has this token."),
        "408": _refusal("The body did not arrive in time."),
        "413": _refusal("The body is too large."),
        "415": _refusal("The body is compressed."),
        "503": _refusal("It was not stored, or may not have been: send it again.") | {"headers": RETRY_AFTER},
    },
)

PART: Final = Part(
    paths={"/cinnox/webhook": {"post": _TAKE}},
    schemas={
        "Incoming": {
            "anyOf": [
                object_of({USER: ID, MESSAGE: {"type": "object", "description": "At most 64 KiB."}}),
                object_of({"challenge": _CHALLENGE})
                | {"not": {"anyOf": [{"required": [name]} for name in (USER, MESSAGE)]}},
            ]
        },
        "Taken": object_of(
            {"code": {"const": 0}}, {"result": object_of({"challenge": _CHALLENGE})}, additionalProperties=False
        ),
        "WebhookRefusal": object_of(
            {"code": {"type": "integer"}, "message": {"type": "string"}}, additionalProperties=False
        ),
    },
    security_schemes={
        "webhook_token": {
            "type": "http",
            "scheme": "bearer",
            "description": "The webhook's token: `PUSHLANE_WEBHOOK__<NAME>__TOKEN`.",
        }
    },
)
