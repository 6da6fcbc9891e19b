"""What policies answer about a message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_TEXT_CHARS: Final = 512
"""Of a reason or a text; our own limit, as the platform documents none."""
_MAX_CODE: Final = 2**31 - 1

Kind = Literal["allow", "rewrite", "forbid", "discard"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A policy's answer.

    Attributes:
        kind: ``discard`` drops the message, but its sender sees it as sent.
        code: The code that the sender's client gets for a forbidden message, from the platform's range for such codes;
            None for its plain "forbidden".
        text: The text that goes with ``code``.
        msg_body: The elements that replace the message's own; None keeps them.
        custom_data: The string that replaces the message's CloudCustomData; None keeps it.
        reason: Why, for the record. Never the message's own text.
        policy: The policy's name; the chain fills it in.
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
        """The message passes, as far as this policy is concerned; the next one is asked."""
        return cls("allow", reason=reason)

    @classmethod
    def rewrite(
        cls, *, msg_body: Sequence[dict[str, Any]] | None = None, custom_data: str | None = None, reason: str = ""
    ) -> Self:
        """The message passes with changes; the next policy is asked about the changed message."""
        return cls("rewrite", msg_body=msg_body, custom_data=custom_data, reason=reason)

    @classmethod
    def forbid(cls, *, code: int | None = None, text: str = "", reason: str = "") -> Self:
        """The message is refused, and its sender gets an error; no further policy is asked."""
        return cls("forbid", code=code, text=text, reason=reason)

    @classmethod
    def discard(cls, *, reason: str = "") -> Self:
        """The message is dropped without telling its sender; no further policy is asked."""
        return cls("discard", reason=reason)


def read(answer: object, policy: str) -> Verdict | None:
    """A policy's verdict, without anything that a record cannot hold. Raises TypeError if it is not a verdict.

    Policies are other people's code: what they forbid stays forbidden, whatever the other fields contain.
    """
    if answer is None:
        return None
    if not isinstance(answer, Verdict):
        raise TypeError(f"must return a Verdict or None, not {type(answer).__name__}")
    given: Any = answer  # its annotations are not enforced
    reason = shortened(given.reason)
    if given.kind == "rewrite":
        body = None if given.msg_body is None else list(given.msg_body)
        return Verdict("rewrite", msg_body=body, custom_data=given.custom_data, reason=reason, policy=policy)
    if given.kind == "forbid":
        code = given.code if type(given.code) is int and 0 <= given.code <= _MAX_CODE else None
        return Verdict("forbid", code, shortened(given.text), reason=reason, policy=policy)
    if given.kind in ("allow", "discard"):
        return Verdict(given.kind, reason=reason, policy=policy)
    raise TypeError("must return a Verdict of a known kind")


def shortened(given: object) -> str:
    """The text, so that any record can hold it; empty if it is not a text."""
    return given[:MAX_TEXT_CHARS].encode(errors="replace").decode() if isinstance(given, str) else ""
