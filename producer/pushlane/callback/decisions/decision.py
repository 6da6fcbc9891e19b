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
        message_key: Identifies the message whatever its content; empty if the decision is late or its body unread.
        at_ms: When it was decided, by the callback's clock.
        took_ms: How long that took.
        late: It was made after the answer.
        effects: What it has to do in a channel.
    """

    key: str
    message_key: str
    command: str
    sdk_app_id: str
    sender: str
    receiver: str
    message: str
    verdict: Verdict
    at_ms: int
    took_ms: int
    late: bool = False
    effects: Sequence[Effect] = ()

    @classmethod
    def of(cls, message: ChatMessage, verdict: Verdict, *, at_ms: int, took_ms: int) -> Self:
        """The decision on a message."""
        keys = keys_of(message)
        return cls(
            key=keys.decision,
            message_key=keys.message,
            command=message.command,
            sdk_app_id=message.sdk_app_id,
            sender=message.sender,
            receiver=message.receiver,
            message=message.key,
            verdict=verdict,
            at_ms=at_ms,
            took_ms=took_ms,
        )

    @classmethod
    def unread(cls, body: bytes, command: str, sdk_app_id: str, verdict: Verdict, *, at_ms: int, took_ms: int) -> Self:
        """The decision on a body that was not read, so that its sender and receiver are unknown."""
        key = sha256(f"{command},{sdk_app_id},".encode() + body).hexdigest()
        return cls(
            key=key,
            message_key="",
            command=command,
            sdk_app_id=sdk_app_id,
            sender="",
            receiver="",
            message="",
            verdict=verdict,
            at_ms=at_ms,
            took_ms=took_ms,
        )

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
        return to_json({**values, "verdict": _document(self.verdict)})

    @classmethod
    def read(cls, document: bytes) -> Self:
        """The decision in such a document. Raises ValueError, TypeError or KeyError for an invalid one."""
        values: dict[str, Any] = json.loads(document)
        return cls(**{**values, "verdict": Verdict(**values["verdict"])})


def answer_document(verdict: Verdict) -> bytes:
    """The document from which a repeated request is answered."""
    return to_json(_document(verdict))


def read_answer(document: bytes) -> Verdict:
    """The verdict in such a document. Raises ValueError or TypeError for an invalid one."""
    return Verdict(**json.loads(document))


def _document(verdict: Verdict) -> dict[str, Any]:
    """Its fields without those at their defaults; dataclasses.asdict would copy a rewrite's elements."""
    document = {"kind": verdict.kind}
    for name, default in _DEFAULTS.items():
        if (value := getattr(verdict, name)) != default:
            document[name] = value
    return document
