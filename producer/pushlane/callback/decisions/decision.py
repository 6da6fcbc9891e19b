"""A moderation decision: what was decided, by whom, when, why, and for which message; never the message's text."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

from pydantic_core import to_json  # a fifth of the time of json.dumps

from pushlane.callback.tencent.question import keys_of
from pushlane.callback.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushlane.callback.chat_message import ChatMessage
    from pushlane.service.effects import Effect

_DEFAULTS = {field.name: field.default for field in fields(Verdict) if field.name != "kind"}


@dataclass(slots=True)
class Decision:
    """A verdict on one message.

    Attributes:
        key: Identifies the message with its content; a repeated request has the same one.
        at_ms: When it was decided, by the callback's clock.
        took_ms: How long that took.
        message_key: Identifies the message whatever its content; empty if the decision is late or its body unread.
        late: It was made after the answer.
        effects: What it has to do in a channel.
    """

    key: str
    command: str
    sdk_app_id: str
    verdict: Verdict
    at_ms: int
    took_ms: int
    message_key: str = ""
    sender: str = ""
    receiver: str = ""
    message: str = ""
    late: bool = False
    effects: Sequence[Effect] = ()

    @classmethod
    def of(cls, message: ChatMessage, verdict: Verdict, *, at_ms: int, took_ms: int) -> Self:
        """The decision on a message."""
        keys = keys_of(message)
        return cls(
            keys.decision,
            message.command,
            message.sdk_app_id,
            verdict,
            at_ms,
            took_ms,
            message_key=keys.message,
            sender=message.sender,
            receiver=message.receiver,
            message=message.key,
        )

    @classmethod
    def unread(cls, body: bytes, command: str, sdk_app_id: str, verdict: Verdict, *, at_ms: int, took_ms: int) -> Self:
        """The decision on a body that was not read, so that its sender and receiver are unknown."""
        key = sha256(f"{command},{sdk_app_id},".encode() + body).hexdigest()
        return cls(key, command, sdk_app_id, verdict, at_ms, took_ms)

    def as_late(self) -> Decision:
        """The same decision as a late one."""
        return replace(self, key=f"{self.key}:late", message_key="", late=True, effects=())

    def entry(self) -> bytes:
        """Its entry in the stream, as JSON."""
        entry = {
            "key": self.key,
            "verdict": self.verdict.kind,
            "policy": self.verdict.policy,
            "reason": self.verdict.reason,
            "code": self.verdict.code,
            "at": self.at_ms,
            "took_ms": self.took_ms,
            "late": self.late,
            "command": self.command,
            "sdk_app_id": self.sdk_app_id,
            "from": self.sender,
            "to": self.receiver,
            "message": self.message,
        }
        return to_json(entry)

    def document(self) -> bytes:
        """The whole decision, for the spool."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return to_json({**values, "verdict": as_fields(self.verdict)})

    @classmethod
    def read(cls, document: bytes) -> Self:
        """The decision in such a document. Raises ValueError, TypeError or KeyError for an invalid one."""
        values: dict[str, Any] = json.loads(document)
        return cls(**{**values, "verdict": Verdict(**values["verdict"])})


def as_fields(verdict: Verdict) -> dict[str, Any]:
    """The verdict's fields without those at their defaults; dataclasses.asdict would copy a rewrite's elements."""
    given = {name: getattr(verdict, name) for name in _DEFAULTS}
    return {"kind": verdict.kind} | {name: value for name, value in given.items() if value != _DEFAULTS[name]}
