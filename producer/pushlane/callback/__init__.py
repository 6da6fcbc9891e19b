"""The callback endpoint (extra ``callback``): answers a chat platform's moderation requests and acts on the decisions.

These are the names that a service needs for its own policy:

>>> from pushlane.callback import ChatMessage, Verdict
>>> class NoShouting:
...     name = "no_shouting"
...
...     def judge(self, message: ChatMessage) -> Verdict | None:
...         return Verdict.forbid(reason="shouts") if message.text.isupper() else None
"""

from pushlane.callback.chat_message import ChatMessage
from pushlane.callback.verdict import Policy, Verdict

__all__ = ["ChatMessage", "Policy", "Verdict"]
