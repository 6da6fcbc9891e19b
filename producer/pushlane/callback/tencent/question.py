"""Tencent's requests: parses the body of a callback into the message to judge, and identifies messages.

Parsing is tolerant, because the body is a peer's: unknown fields and element types are kept, optional ones may be
absent or null, and a number may be a numeric string (as EventTime is in the Group samples). Not tolerated is anything
that two parsers could read as two different messages: a duplicate name, an encoding other than UTF-8, half a surrogate
pair, NaN.
"""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Final, NamedTuple, NotRequired

from pydantic import ConfigDict, FailFast, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict  # pydantic takes typing's own only from Python 3.12 on

from pushlane import strict_json
from pushlane.callback.chat_message import ChatMessage
from pushlane.callback.tencent.signature import Query
from pushlane.strict_json import NotStrictJson, TooMuchJson

C2C: Final = "C2C.CallbackBeforeSendMsg"
GROUP: Final = "Group.CallbackBeforeSendMsg"
MODERATED: Final = frozenset({C2C, GROUP})
"""The commands that ask us for a decision. Most others only report what has happened."""

MAX_SHOWN_CHARS: Final = 64
"""How much of a foreign command's name is quoted; the longest documented one has 34."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A body that is not a message.

    Attributes:
        reason: The field and the kind of error, never any of the body's content.
        hides: Its sender may have made it impossible to judge, for example by nesting relays: it must not pass as
            clean. Anything else that is wrong with a body can only be the platform's doing.
    """

    reason: str
    hides: bool = False


@dataclass(frozen=True, slots=True)
class WrongCommand:
    """A body whose command differs from that of its query: one of the two is not Tencent's."""

    command: str


@dataclass(frozen=True, slots=True)
class NothingToJudge:
    """There is nothing to decide: the console's check, with an empty body, or a command that is not moderated."""

    reason: str


class Keys(NamedTuple):
    """The keys that identify a message, of 64 hex digits each.

    Attributes:
        decision: Identifies a decision: this message with this content. The order of names and blanks make no
            difference; any other value, element or custom data does.
        message: Identifies what the sender calls the same message, whatever its content. Senders choose it: if it has
            two decision keys, the message was changed after it was judged.
    """

    decision: str
    message: str


@with_config(ConfigDict(extra="allow"))
class Element(TypedDict):
    """A part of a message; unknown kinds are kept."""

    MsgType: str
    MsgContent: dict[str, Any]


@with_config(ConfigDict(extra="allow"))
class Question(TypedDict):
    """The body of a request to moderate; unknown fields are kept."""

    CallbackCommand: str
    From_Account: str
    To_Account: NotRequired[str | None]
    GroupId: NotRequired[str | None]
    MsgKey: NotRequired[str | None]
    MsgId: NotRequired[str | None]
    MsgSeq: NotRequired[int | None]
    MsgRandom: NotRequired[int | None]
    MsgTime: NotRequired[int | None]
    Random: NotRequired[int | None]
    OnlineOnlyFlag: NotRequired[int | None]
    # Without FailFast, 256 KiB of wrong elements make 130,000 error objects.
    MsgBody: Annotated[list[Element], FailFast()]
    CloudCustomData: NotRequired[str | None]


QUESTION: Final = TypeAdapter(Question)
_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))  # json.dumps would create one every time


def parse(body: bytes, query: Query) -> ChatMessage | NothingToJudge | WrongCommand | Unreadable:
    """The message in a body, or why there is none. Raises nothing, whatever the body is.

    A body may have at most 10,000 values, nested 200 deep, and a number at most 4,300 digits (Python's limit). Numbers
    with a fraction are rounded to a double; what a double cannot hold is unreadable. The caller must limit the body's
    size.
    """
    if not body.strip():
        return NothingToJudge("empty body")
    if query.command not in MODERATED:
        return NothingToJudge("command is not moderated")
    try:
        request = _read(body)
    except ValueError as error:
        command = None if isinstance(error, TooMuchJson) else _command(body)
        if command is None or command == query.command:
            return Unreadable(_reason(error), hides=isinstance(error, TooMuchJson))
        return WrongCommand(command[:MAX_SHOWN_CHARS])
    if request["CallbackCommand"] != query.command:
        return WrongCommand(request["CallbackCommand"][:MAX_SHOWN_CHARS])
    return _message(request, query)


def keys_of(message: ChatMessage) -> Keys:
    """The two keys of a message."""
    identity = [message.sdk_app_id, message.command, message.sender, message.receiver, message.key]
    content = [list(message.msg_body), message.custom_data]
    return Keys(decision=_digest([*identity, content]), message=_digest(identity))


def _message(request: Question, query: Query) -> ChatMessage | Unreadable:
    group = query.command == GROUP
    receiver = request.get("GroupId") if group else request.get("To_Account")
    if receiver is None:
        return Unreadable("GroupId: missing" if group else "To_Account: missing")
    key = _group_key(request) if group else _c2c_key(request)
    if key is None:
        return Unreadable("Random: missing" if group else "MsgKey: missing")
    fields: dict[str, Any] = request  # type: ignore[assignment] # nobody else has this dict
    body = fields.pop("MsgBody")
    fields["SdkAppid"] = query.sdk_app_id  # the body does not contain it, and this one is checked
    online_only = request.get("OnlineOnlyFlag") == 1
    custom_data = request.get("CloudCustomData") or ""
    return ChatMessage(
        query.command, query.sdk_app_id, request["From_Account"], receiver, key, body, custom_data, online_only, fields
    )


# Without a key, two messages with the same text would share a decision, and the second would never be relayed.
def _c2c_key(request: Question) -> str | None:
    if key := request.get("MsgKey"):
        return key
    numbers = (request.get("MsgSeq"), request.get("MsgRandom"), request.get("MsgTime"))
    return None if None in numbers else "_".join(map(str, numbers))


def _group_key(request: Question) -> str | None:
    random = request.get("Random")
    return None if random is None else f"{random}_{request.get('MsgId') or ''}"


def _digest(values: list[Any]) -> str:
    # A JSON array is unambiguous: no value can run into the next, and 1, 1.0, "1" and true stay different.
    return sha256(_CANONICAL.encode(values).encode()).hexdigest()


def _read(body: bytes) -> Question:
    request = QUESTION.validate_python(document := strict_json.load(body))
    if b"\\u" in body:  # half a surrogate pair can come only as an escape
        json.dumps(document, ensure_ascii=False).encode()
    return request


def _command(body: bytes) -> str | None:
    """The command of a body that does not validate, if it names exactly one."""
    try:
        named = _PAIRS.decode(body.decode())
    except (ValueError, RecursionError):
        return None
    pairs = named if isinstance(named, tuple) else ()
    match [value for name, value in pairs if name == "CallbackCommand"]:
        case [str(command)] if command.isprintable():
            return command
    return None


_PAIRS: Final = json.JSONDecoder(object_pairs_hook=tuple)  # arrays are lists


def _reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['type']}"
    # Any other error's own message may quote the body.
    return str(error) if isinstance(error, NotStrictJson) else type(error).__name__
