"""The JSON form of a message, the same for files, HTTP and Celery.

::

    {"room_id", "text", "sender_eid"?, "receiver_eid"?, …}     for a channel of kind cinnox
    {"user_id", "message", …}                                  for a channel of kind third_party

and in both: "idempotency_key"?, "not_before"? (an RFC 3339 time), "expires_in_s"?, and
"hold"?: {"key", "timeout_s", "on_timeout"?}

The format is our own, and therefore strict: an unknown field, a duplicate field or a mixture of the two is refused, so
that a typo never results in a message without its sender. An optional field may be null.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pushlane import strict_json
from pushlane.errors import InvalidMessage
from pushlane.message import Message, RoomMessage, ThirdPartyMessage
from pushlane.send_options import NO_OPTIONS, SendOptions
from pushlane.strict_json import NotStrictJson

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

MAX_NAME_CHARS: Final = 40
"""How much of an unknown field's name is examined, and quoted in the error."""

_OPTIONS: Final = ("idempotency_key", "not_before", "expires_in_s", "hold")
_ROOM: Final = ("room_id", "text", "sender_eid", "receiver_eid", *_OPTIONS)
_THIRD_PARTY: Final = ("user_id", "message", *_OPTIONS)
"""The first two of each are required."""


@dataclass(frozen=True, slots=True)
class Form:
    """A message with the options that came in the same object."""

    message: Message
    options: SendOptions = NO_OPTIONS


def parse(data: bytes) -> Form:
    """Parses a JSON document. Raises InvalidMessage, which names the field and never quotes the document."""
    return build(load(data, "message"))


def load(data: bytes, what: str) -> Any:  # noqa: ANN401 # any JSON
    """The value of a JSON document, parsed strictly.

    Raises:
        InvalidMessage: The document is invalid. The error's field is ``what``, or the duplicate name; it never quotes
            the document.
    """
    try:
        return strict_json.load(data)
    except NotStrictJson as error:
        raise _unreadable(error, what) from None


def load_elements(data: bytes, what: str) -> Iterator[Any]:
    """The elements of a JSON list, each parsed on demand. Raises InvalidMessage like ``load``."""
    try:
        yield from strict_json.elements(data)
    except NotStrictJson as error:
        raise _unreadable(error, what) from None


def build(fields: object) -> Form:
    """The form in an object that is already parsed. Raises InvalidMessage, which names the field."""
    if not isinstance(fields, dict):
        raise InvalidMessage("message", f"must be a JSON object, not {_json_type(fields)}")
    known = _THIRD_PARTY if "user_id" in fields or "message" in fields else _ROOM
    for name in fields:
        if name not in known:
            raise InvalidMessage(_shown(str(name)), _unknown(str(name), fields, known))
    for name in known[:2]:
        if fields.get(name) is None:
            raise InvalidMessage(name, "is missing")
    values: dict[str, Any] = {name: fields.get(name) for name in known if name not in _OPTIONS}
    message = ThirdPartyMessage(**values) if known is _THIRD_PARTY else RoomMessage(**values)
    return Form(message, SendOptions.from_json(*(fields.get(name) for name in _OPTIONS)))


def fields_of(kind: str, conversation: str, address: bytes, body: bytes) -> dict[str, object]:
    """The form's fields for a message as its record stores it, without absent ones."""
    if kind == ThirdPartyMessage.kind:
        return {"user_id": conversation, "message": json.loads(body)}
    fields: dict[str, object] = {"room_id": conversation, "text": json.loads(body)}
    eids = zip(("sender_eid", "receiver_eid"), json.loads(address or b"[null, null]"), strict=True)
    return fields | {name: eid for name, eid in eids if eid is not None}


def _unreadable(error: NotStrictJson, what: str) -> InvalidMessage:
    field, problem = (what, str(error)) if error.name is None else (_shown(error.name), "is given twice")
    return InvalidMessage(field, problem, index=error.index)


def _unknown(name: str, fields: Collection[object], known: Sequence[str]) -> str:
    if name in _ROOM or name in _THIRD_PARTY:
        other = next(other for other in known if other in fields and other not in _OPTIONS)
        return f"cannot be combined with {other}"
    close = difflib.get_close_matches(name[:MAX_NAME_CHARS].lower(), known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"the fields are {', '.join(known)}"
    return f"is not a field of a message; {hint}"


def _shown(name: str) -> str:
    """A name from outside, as one short printable line."""
    short = name if len(name) <= MAX_NAME_CHARS else name[:MAX_NAME_CHARS] + "…"
    return short if short.isprintable() and short.strip() else ascii(short)


def _json_type(value: object) -> str:
    names = {str: "a string", bool: "a boolean", int: "a number", float: "a number", list: "an array"}
    return names.get(type(value), "null" if value is None else type(value).__name__)
