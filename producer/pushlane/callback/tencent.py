"""What Tencent asks: the body of a callback as the message to judge, and what tells one message from another.

Tolerant, because it is a peer's: unknown fields and element types are kept, optional ones may be absent or null, and
a number may be a numeric string (Group samples print EventTime so). Not tolerated is what two readers could read as
two different messages: a name given twice, another encoding than UTF-8, half a surrogate pair, NaN.
"""

import json
from dataclasses import dataclass
from hashlib import sha256
from json.encoder import encode_basestring_ascii as _quoted
from typing import Annotated, Any, Final, NamedTuple, NotRequired

from pydantic import ConfigDict, FailFast, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict  # pydantic takes typing's own only from Python 3.12 on

from pushlane import strict_json
from pushlane.callback.chat_message import ChatMessage
from pushlane.callback.signature import Query
from pushlane.strict_json import NotStrictJson, TooMuchJson

C2C: Final = "C2C.CallbackBeforeSendMsg"
GROUP: Final = "Group.CallbackBeforeSendMsg"
MODERATED: Final = frozenset({C2C, GROUP})
"""The commands that ask for a decision of ours. Of the others, most only tell what has happened."""

MAX_SHOWN_CHARS: Final = 64
"""How much of a foreign command's name is repeated; the longest one that is documented has 34."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A body that is no message.

    Attributes:
        reason: The field and the kind of error, never what the body says.
        hides: Its sender may have made it so that nobody can judge it, such as by relays within relays: it must not
            pass as clean. All else that is wrong with a body, only the platform can have done.
    """

    reason: str
    hides: bool = False


@dataclass(frozen=True, slots=True)
class WrongCommand:
    """A body that belongs to another command than its query: half of the request is not Tencent's."""

    command: str


@dataclass(frozen=True, slots=True)
class NothingToJudge:
    """No question: the console's check, which has an empty body, or a command that is not moderated."""

    reason: str


class Keys(NamedTuple):
    """What tells one message from another, in 64 hex digits each.

    Attributes:
        decision: What is one decision: this message with this content. Neither the order of names nor blanks make
            another one; any other value, element or custom data does.
        message: What the sender says is one message, whatever it holds. Senders choose it: one with two decision keys
            is a message that was changed after it was judged.
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
    """The body of a question; unknown fields are kept."""

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
_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))  # json.dumps would make one each time


def parse(body: bytes, query: Query) -> ChatMessage | NothingToJudge | WrongCommand | Unreadable:
    """The message in a body, or why there is none. Raises nothing, whatever the body is.

    A body holds at most 10,000 values, 200 deep, a number at most 4,300 digits (Python's limit). Numbers with a
    fraction are rounded to a double; what a double cannot hold is unreadable. The body's size is for the caller to
    limit.
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
    parts = (message.sdk_app_id, message.command, message.sender, message.receiver, message.key)
    identity = ",".join(map(_quoted, parts))
    # A JSON array has one reading: no value can run into the next, and 1, 1.0, "1" and true stay apart.
    if said := message.only_text:  # what the encoder makes of it
        elements = f'[{{"MsgContent":{{"Text":{_quoted(said)}}},"MsgType":"TIMTextElem"}}]'
        content = f"[{elements},{_quoted(message.custom_data)}]"
    else:
        content = _CANONICAL.encode([list(message.msg_body), message.custom_data])
    return Keys(decision=_digest(f"[{identity},{content}]"), message=_digest(f"[{identity}]"))


def _message(request: Question, query: Query) -> ChatMessage | Unreadable:
    group = query.command == GROUP
    receiver = request.get("GroupId") if group else request.get("To_Account")
    if receiver is None:
        return Unreadable("GroupId: missing" if group else "To_Account: missing")
    key = _group_key(request) if group else _c2c_key(request)
    if key is None:
        return Unreadable("Random: missing" if group else "MsgKey: missing")
    fields: dict[str, Any] = request  # type: ignore[assignment] # a dict that nobody else has
    body = fields.pop("MsgBody")
    fields["SdkAppid"] = query.sdk_app_id  # the body does not name it, and this one is checked
    online_only = request.get("OnlineOnlyFlag") == 1
    custom_data = request.get("CloudCustomData") or ""
    return ChatMessage(
        query.command, query.sdk_app_id, request["From_Account"], receiver, key, body, custom_data, online_only, fields
    )


# Without a key, two messages of one text would be one decision, and the second would never be relayed.
def _c2c_key(request: Question) -> str | None:
    if key := request.get("MsgKey"):
        return key
    numbers = (request.get("MsgSeq"), request.get("MsgRandom"), request.get("MsgTime"))
    return None if None in numbers else "_".join(map(str, numbers))


def _group_key(request: Question) -> str | None:
    random = request.get("Random")
    return None if random is None else f"{random}_{request.get('MsgId') or ''}"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _read(body: bytes) -> Question:
    request = QUESTION.validate_python(document := strict_json.load(body))
    if b"\\u" in body:  # half a surrogate pair can come only as an escape
        json.dumps(document, ensure_ascii=False).encode()
    return request


def _command(body: bytes) -> str | None:
    """The command of a body that is no question, if it names one, and one alone."""
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
