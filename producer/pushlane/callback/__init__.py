"""The callback endpoint (extra ``callback``): answers a chat platform's moderation question and feeds the decisions on.

What a service needs that brings a policy of its own:

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
