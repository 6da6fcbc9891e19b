"""What the API refuses: one class for each of its endpoints.

CINNOX documents that 400 and 6451000 mean a wrong parameter, 6450001 an unknown method and 6451010 the rate limit, but
not their HTTP statuses; the ones here are those that HTTP defines for these cases.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

BAD_REQUEST = 400
UNKNOWN_METHOD = 6450001
WRONG_PARAMETER = 6451000
TOO_MANY_REQUESTS = 6451010

THIRD_PARTY_PATH = "/third-party"
"""The address to which third-party messages are posted."""

MAX_MESSAGES = 10
MAX_TEXT_CHARS = 5000


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer to send."""

    status: int
    body: bytes
    headers: Mapping[str, str]


_JSON: Final[Mapping[str, str]] = {"Content-Type": "application/json"}

_TAKEN = Reply(HTTPStatus.OK, b'{"code":0,"result":{}}', _JSON)
# All fields in the documentation, with numbers as the doubles that it specifies.
_TAKEN_OBJECT = Reply(
    HTTPStatus.OK, b'{"code":0.0,"result":{},"message":"","cid":"fake-api","count":1.0,"total":1.0}', _JSON
)
NO_ANSWER = Reply(0, b"", {})
"""The connection is cut instead."""


def json_reply(status: int, document: object) -> Reply:
    """Answer with a JSON document."""
    return Reply(status, json.dumps(document).encode(), _JSON)


def refusal(status: int, code: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer in the API's error format."""
    body = json.dumps({"code": code, "message": message}).encode()
    return Reply(status, body, {**_JSON, **(headers or {})})


@dataclass(frozen=True, slots=True)
class Call:
    """A complete request as received."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Lookups ignore case."""
    body: bytes
    at_s: float
    """The monotonic time at which its last byte arrived."""


@dataclass(frozen=True, slots=True)
class ReceivedPush:
    """A valid push."""

    room: str
    """The room, or the user of a third-party message."""
    texts: tuple[str, ...]
    """The texts; the object of a third-party message as compact JSON."""
    sender: str | None = None
    receiver: str | None = None


class Rules:
    """One endpoint of the API: the pushes that it accepts, and why it refuses others. This one is any other path."""

    accepted = _TAKEN
    """The answer to an accepted push."""

    def owns(self, path: str) -> bool:  # noqa: ARG002 - asked last
        """Whether requests to this path are for this endpoint."""
        return True

    def refuse(self, call: Call) -> Reply | None:
        """Check everything but the body. A refusal here does not count against the rate limit."""
        return refusal(404, UNKNOWN_METHOD, f"method not found, method: {call.method} url: {call.path}")

    def read(self, body: bytes) -> ReceivedPush | Reply:  # noqa: ARG002 - never asked
        """Check the body."""
        return refusal(404, UNKNOWN_METHOD, "method not found")


NonEmpty = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Message(_Strict):
    type: Literal["text"]
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)]


class _Body(_Strict):
    room_id: NonEmpty = Field(alias="roomID")
    # An empty EID is refused, so the empty default can only mean a missing field; null is refused as not a string.
    sender_eid: NonEmpty = Field(default="", alias="senderEID")
    receiver_eid: NonEmpty = Field(default="", alias="receiverEID")
    messages: Annotated[list[_Message], Field(min_length=1, max_length=MAX_MESSAGES)]


class _ObjectBody(_Strict):
    user_id: NonEmpty = Field(alias="userId")
    message: dict[str, Any]


class MessagePushRules(Rules):
    """CINNOX's ``POST /v1/api/apps/{appID}/message-push``."""

    _BEFORE = "/v1/api/apps/"
    _AFTER = "/message-push"

    def __init__(self, app_id: str, token: str) -> None:
        self._path = f"{self._BEFORE}{app_id}{self._AFTER}"
        self._authorization = f"Bearer {token}"

    def owns(self, path: str) -> bool:
        """Accept any appID: an unknown one is refused later, with its own error."""
        return path.startswith(self._BEFORE) and path.endswith(self._AFTER)

    def refuse(self, call: Call) -> Reply | None:
        """Check method, token, appID and media type, in this order."""
        if (refused := _refuse_caller(call, self._authorization)) is not None:
            return refused
        if call.path != self._path:
            return refusal(404, 404, "appID: no such app")
        return _refuse_media_type(call)

    def read(self, body: bytes) -> ReceivedPush | Reply:
        """Check the body; a refusal names the first wrong field."""
        try:
            push = _Body.model_validate_json(body)
        except ValidationError as error:
            return _wrong_body(error)
        return ReceivedPush(
            push.room_id,
            tuple([message.text for message in push.messages]),
            push.sender_eid or None,
            push.receiver_eid or None,
        )


class ThirdPartyRules(Rules):
    """The address of third-party messages: ``POST`` of ``{"userId", "message"}``, where the message is any object."""

    accepted = _TAKEN_OBJECT

    def __init__(self, token: str) -> None:
        self._authorization = f"Bearer {token}"

    def owns(self, path: str) -> bool:
        """Accept only this address."""
        return path == THIRD_PARTY_PATH

    def refuse(self, call: Call) -> Reply | None:
        """Check method, token and media type, in this order."""
        return _refuse_caller(call, self._authorization) or _refuse_media_type(call)

    def read(self, body: bytes) -> ReceivedPush | Reply:
        """Check the body; a refusal names the first wrong field."""
        try:
            push = _ObjectBody.model_validate_json(body)
        except ValidationError as error:
            return _wrong_body(error)
        return ReceivedPush(push.user_id, (json.dumps(push.message, ensure_ascii=False, separators=(",", ":")),))


def _refuse_caller(call: Call, authorization: str) -> Reply | None:
    if call.method != "POST":
        return refusal(405, UNKNOWN_METHOD, f"method not found, method: {call.method} url: {call.path}")
    if call.headers.get("Authorization") != authorization:
        return refusal(401, 401, "Authorization: wrong or missing bearer token")
    return None


def _refuse_media_type(call: Call) -> Reply | None:
    media_type = call.headers.get("Content-Type", "").partition(";")[0]
    if media_type.strip().lower() != "application/json":
        return refusal(415, 415, "Content-Type: must be application/json")
    return None


def _wrong_body(error: ValidationError) -> Reply:
    """Name the first wrong field, such as ``messages[3].text``."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return refusal(400, BAD_REQUEST, f"body: {first['msg']}")
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    return refusal(400, WRONG_PARAMETER, f"{field.removeprefix('.') or 'body'}: {first['msg']}")
