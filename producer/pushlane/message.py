"""Messages and their limits: the wire contract between producers and workers.

A message is turned into three strings when it is created: its conversation (within which order is kept), its address
(which must also be equal for two messages to share a push) and its body. They are passed on unchanged; nothing parses
them again on the way.
"""

from __future__ import annotations

import json
import re
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

from pushlane.errors import InvalidMessage
from pushlane.strict_json import is_deeper

if TYPE_CHECKING:
    from collections.abc import Mapping

CHANNEL_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
MAX_CHANNEL_NAME_CHARS: Final = 32
MAX_ID_BYTES: Final = 256
MAX_OBJECT_BYTES: Final = 65_536
MAX_OBJECT_DEPTH: Final = 64
MAX_KEY_CHARS: Final = 255

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_KEY = re.compile(r"[\x20-\x7e]+")


def is_channel_name(channel: str) -> bool:
    """Whether a channel can have this name."""
    return len(channel) <= MAX_CHANNEL_NAME_CHARS and CHANNEL_NAME.fullmatch(channel) is not None


def check_channel_name(channel: object) -> str:
    """The name, if it is a valid channel name. Raises InvalidMessage."""
    if not isinstance(channel, str) or not is_channel_name(channel):
        raise InvalidMessage(
            "channel",
            "must be lower-case letters and digits, words joined by single underscores, at most 32 characters",
            limit=MAX_CHANNEL_NAME_CHARS,
        )
    return channel


def check_idempotency_key(key: object) -> str:
    """The key, if it is valid. Raises InvalidMessage."""
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY_CHARS or not _KEY.fullmatch(key):
        raise InvalidMessage(
            "idempotency_key", f"must be 1 to {MAX_KEY_CHARS} printable ASCII characters", limit=MAX_KEY_CHARS
        )
    return key


def check_id(name: str, value: object) -> None:
    """Raises InvalidMessage unless it is 1 to 256 bytes of UTF-8 without control characters."""
    if not isinstance(value, str):
        raise InvalidMessage(name, f"must be a string, not {type(value).__name__}")
    if not value:
        raise InvalidMessage(name, "must not be empty")
    if _CONTROL.search(value):
        raise InvalidMessage(name, "must not contain control characters")
    if len(_encode(name, value)) > MAX_ID_BYTES:
        raise InvalidMessage(name, f"must be at most {MAX_ID_BYTES} bytes of UTF-8", limit=MAX_ID_BYTES)


def _encode(name: str, value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise InvalidMessage(name, "contains a lone surrogate, which is not valid Unicode") from None


@dataclass(frozen=True, slots=True)
class RoomMessage:
    """A text for a room of a ``cinnox`` channel.

    Raises:
        InvalidMessage: A field is empty or has the wrong type, or an id is over 256 bytes or contains control
            characters. ``send`` checks the text's length against the channel's own limit.
    """

    kind: ClassVar[str] = "cinnox"

    room_id: str
    text: str
    _: KW_ONLY
    sender_eid: str | None = None
    receiver_eid: str | None = None
    body: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_id("room_id", self.room_id)
        if not isinstance(self.text, str):
            raise InvalidMessage("text", f"must be a string, not {type(self.text).__name__}")
        if not self.text:
            raise InvalidMessage("text", "must not be empty")
        for name in ("sender_eid", "receiver_eid"):
            if (value := getattr(self, name)) is not None:
                check_id(name, value)
        object.__setattr__(self, "body", _encode("text", json.dumps(self.text, ensure_ascii=False)))

    @property
    def conversation(self) -> str:
        """The room: order is kept within it."""
        return self.room_id

    @property
    def address(self) -> bytes:
        """A JSON array of sender and receiver, or empty if there is neither."""
        if self.sender_eid is None and self.receiver_eid is None:
            return b""
        return json.dumps([self.sender_eid, self.receiver_eid], ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class ThirdPartyMessage:
    """A message object for a user of a ``third_party`` channel. Changing the object later does not change the message.

    Raises:
        InvalidMessage: The user id is invalid, or the object is not JSON, over 64 KiB or nested over 64 levels deep.
    """

    kind: ClassVar[str] = "third_party"
    address: ClassVar[bytes] = b""

    user_id: str
    message: Mapping[str, object]
    body: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_id("user_id", self.user_id)
        if not isinstance(self.message, dict):
            raise InvalidMessage("message", f"must be a JSON object, not {type(self.message).__name__}")
        if is_deeper(self.message, MAX_OBJECT_DEPTH):
            problem = f"must be nested at most {MAX_OBJECT_DEPTH} levels deep"
            raise InvalidMessage("message", problem, limit=MAX_OBJECT_DEPTH)
        try:
            text = json.dumps(self.message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            raise InvalidMessage("message", f"is not JSON: {error}") from None
        body = _encode("message", text)
        if len(body) > MAX_OBJECT_BYTES:
            raise InvalidMessage("message", f"must be at most {MAX_OBJECT_BYTES} bytes", limit=MAX_OBJECT_BYTES)
        object.__setattr__(self, "body", body)

    @property
    def conversation(self) -> str:
        """The user: order is kept within the user's messages."""
        return self.user_id


Message = RoomMessage | ThirdPartyMessage


@dataclass(frozen=True, slots=True)
class Limits:
    """What a channel accepts, from its record in Redis."""

    kind: str
    max_text: int
    text_unit: str
    """``codepoints``, ``utf16`` or ``bytes``: the API does not say what a character is."""
    max_message_bytes: int

    def check(self, message: object) -> Message:
        """The message, if the channel accepts it. Raises InvalidMessage."""
        if not isinstance(message, (RoomMessage, ThirdPartyMessage)):
            raise InvalidMessage(
                "message", f"must be a RoomMessage or a ThirdPartyMessage, not {type(message).__name__}"
            )
        if message.kind != self.kind:
            raise InvalidMessage("message", f"is of kind {message.kind!r}, but the channel is of kind {self.kind!r}")
        if isinstance(message, RoomMessage) and (length := self._length(message.text)) > self.max_text:
            raise InvalidMessage(
                "text", f"has {length} {self.text_unit}, the limit is {self.max_text}", limit=self.max_text
            )
        if len(message.body) > self.max_message_bytes:
            raise InvalidMessage(
                "message",
                f"takes {len(message.body)} bytes, the limit is {self.max_message_bytes}",
                limit=self.max_message_bytes,
            )
        return message

    def _length(self, text: str) -> int:
        if self.text_unit == "bytes":
            return len(text.encode())
        if self.text_unit == "utf16":
            return len(text.encode("utf-16-le")) // 2
        return len(text)
