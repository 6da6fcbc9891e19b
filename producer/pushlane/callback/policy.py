"""What a policy is: the interface of the built-in ones and of a service's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pushlane.callback.chat_message import ChatMessage
    from pushlane.callback.verdict import Verdict


class Policy(Protocol):
    """One judge of the chain.

    It runs in separate processes, each with its own instance: a plain ``judge`` gets one message at a time, an
    ``async`` one gets more while the others await something. With a true ``inline``, it runs on the callback's event
    loop, which waits for it.
    """

    name: str

    def judge(self, message: ChatMessage) -> Verdict | Awaitable[Verdict | None] | None:
        """The policy's verdict; None if it has no objection."""
