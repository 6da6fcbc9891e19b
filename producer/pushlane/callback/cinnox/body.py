"""What CINNOX's third-party channel sends: ``{"userId", "message"}``, and once, before that, a challenge.

The shape is that of its page on outgoing third-party messages. The fields of an IMMsg object are not documented: the
paths of ids and texts below come from the closest public records, and unknown fields are kept. Not tolerated is
anything that two parsers could read as two different messages: a duplicate name, an encoding other than UTF-8, NaN.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from pushlane.callback.template import written
from pushlane.errors import InvalidMessage
from pushlane.message import Message, RoomMessage, ThirdPartyMessage, check_id
from pushlane.message_json import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

USER: Final = "userId"
MESSAGE: Final = "message"
IDS: Final = ("message.id", "message.msgID", "msgID")
"""Where a message's id is looked for, in this order."""
TEXTS: Final = ("message.text", "message.msg.text", "message.msgText", "msgText")
"""The same for its text."""
MAX_CHALLENGE_CHARS: Final = 1024
"""Our own limit; the platform documents none."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Challenge:
    """The platform's check that the address is ours: the value has to be sent back."""

    value: str


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message for the queue.

    Attributes:
        identity: 64 hex digits that only a retry of the same message shares.
        named: The identity comes from the user's and the message's own ids. Otherwise it comes from the bytes, and the
            same bytes may arrive later as another message.
        fields: The whole body, for routing.
    """

    identity: str
    named: bool
    message: Mapping[str, object]
    fields: Mapping[str, object]

    @property
    def text(self) -> str:
        """Its text; empty for a file and the like."""
        return next((text for text in _values(self.fields, TEXTS) if isinstance(text, str)), "")

    def written(self, name: str) -> str:
        """A field's value for a template. Raises InvalidMessage if it is absent, or not a string or an integer."""
        if text := written(_at(self.fields, name)):
            return text
        raise InvalidMessage(name, "must be a string or an integer: it determines where the message goes")

    def as_message(self, kind: str, to: str) -> Message | None:
        """The message for a channel of this kind; None if it has no text and the channel only accepts texts.

        Raises:
            InvalidMessage: It cannot be sent there, such as to a room with control characters.
        """
        check_id("room_id" if kind == RoomMessage.kind else "user_id", to)  # even without a text, as it is logged
        if kind == ThirdPartyMessage.kind:
            return ThirdPartyMessage(to, self.message)
        return RoomMessage(to, self.text) if self.text else None


def parse(body: bytes) -> Challenge | Incoming:
    """Parses the body. If it has both a message and a challenge, it is a message, as in CINNOX's event envelopes.

    Raises:
        InvalidMessage: It has neither. The error names the field, and quotes nothing of it.
    """
    fields = load(body, "body")
    if not isinstance(fields, dict):
        raise InvalidMessage("body", "must be a JSON object")
    if "challenge" in fields and USER not in fields and MESSAGE not in fields:
        return Challenge(_challenge(fields["challenge"]))
    for name in (USER, MESSAGE):
        if fields.get(name) is None:
            raise InvalidMessage(name, "is missing")
    check_id(USER, fields[USER])
    # Whatever channel it goes to, it must be an object and not too large.
    message = ThirdPartyMessage(fields[USER], fields[MESSAGE]).message
    own_id = next(filter(None, map(written, _values(fields, IDS))), "")
    identity = json.dumps([fields[USER], own_id]).encode() if own_id else body
    return Incoming(sha256(identity).hexdigest(), bool(own_id), message, fields)


def _challenge(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_CHALLENGE_CHARS or _SURROGATE.search(value):
        problem = f"must be a string of 1 to {MAX_CHALLENGE_CHARS} characters"
        raise InvalidMessage("challenge", problem, limit=MAX_CHALLENGE_CHARS)
    return value


def _values(fields: Mapping[str, object], paths: Iterable[str]) -> Iterable[object]:
    return (value for path in paths if (value := _at(fields, path)))


def _at(fields: Mapping[str, object], path: str) -> object:
    value: Any = fields
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
