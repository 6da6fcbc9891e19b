"""The policy ``length``: forbids messages that are too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushlane.callback.verdict import Verdict

if TYPE_CHECKING:
    from pushlane.callback.chat_message import ChatMessage


class Length:
    """Forbids a message whose text elements, joined by newlines, have more than ``max_chars`` code points.

    Its other content (custom data, relayed messages) does not count; the platform limits its bytes.
    """

    name = "length"
    inline = True

    def __init__(self, max_chars: int, *, code: int | None = None, text: str = "") -> None:
        self._max_chars = max_chars
        self._code = code
        self._text = text

    def judge(self, message: ChatMessage) -> Verdict | None:
        """Forbid, or None."""
        if (chars := len(message.text)) <= self._max_chars:
            return None
        reason = f"{chars} characters, {self._max_chars} are allowed"
        return Verdict.forbid(code=self._code, text=self._text, reason=reason)
