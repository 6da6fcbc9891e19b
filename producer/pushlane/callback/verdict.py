"""What a policy says of a message, and what a policy is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from pushlane.callback.chat_message import ChatMessage

Kind = Literal["allow", "rewrite", "forbid", "discard"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A policy's answer.

    Attributes:
        kind: ``discard`` drops the message while its sender believes that it was sent.
        code: What the client of a forbidden message's sender gets, of the platform's range for such codes; None for its
            plain "forbidden".
        text: What goes with ``code``.
        msg_body: The elements that replace the message's own; None leaves them.
        custom_data: What replaces the message's CloudCustomData; None leaves it.
        reason: Why, for the record. Never the message's own text.
        policy: Who; the chain fills it in.
    """

    kind: Kind
    code: int | None = None
    text: str = ""
    msg_body: Sequence[dict[str, Any]] | None = None
    custom_data: str | None = None
    reason: str = ""
    policy: str = ""

    @classmethod
    def allow(cls, *, reason: str = "") -> Self:
        """The message passes as far as this policy is concerned; the next one is asked."""
        return cls("allow", reason=reason)

    @classmethod
    def rewrite(
        cls, *, msg_body: Sequence[dict[str, Any]] | None = None, custom_data: str | None = None, reason: str = ""
    ) -> Self:
        """The message passes changed; the next policy is asked about what it has become."""
        return cls("rewrite", msg_body=msg_body, custom_data=custom_data, reason=reason)

    @classmethod
    def forbid(cls, *, code: int | None = None, text: str = "", reason: str = "") -> Self:
        """The message is refused, and its sender told so; no further policy is asked."""
        return cls("forbid", code=code, text=text, reason=reason)

    @classmethod
    def discard(cls, *, reason: str = "") -> Self:
        """The message is dropped without telling its sender; no further policy is asked."""
        return cls("discard", reason=reason)


class Policy(Protocol):
    """One judge of the chain. A plain ``judge`` runs in a thread, an ``async`` one on the event loop."""

    name: str

    def judge(self, message: ChatMessage) -> Verdict | Awaitable[Verdict | None] | None:
        """The policy's verdict; None when it has nothing to say."""
