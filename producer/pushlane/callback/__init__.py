"""The callback endpoint (extra ``callback``): answers a chat platform's moderation requests and acts on the decisions.

These are the names that a service needs for its own policy:

>>> from pushlane.callback import ChatMessage, Verdict
>>> class NoShouting:
...     name = "no_shouting"
...
...     def judge(self, message: ChatMessage) -> Verdict | None:
...         return Verdict.forbid(reason="shouts") if message.text.isupper() else None

::

    chat_message    a message that is being judged
    policy          what a policy is
    verdict         what it answers
    routing         where an allowed message goes, and the effects of a decision
    app             the ASGI app: its routes and what they share
    server          the processes that serve it
    settings        its settings
    policy_settings those of moderation's policies
    template        templates for rooms, such as ``{userId}``
    failures        errors of other people's code, without quoting any text
    cancelling      cancels a task and waits for it
    moderation      the platform's question and its answer
    blocked_words   the built-in policy of that name
    tencent         the platform's protocol
    decisions       recording decisions and applying their effects
    cinnox          the webhook for CINNOX's messages
    http            limits, ``/v1``, health, metrics, and what all routes share
    openapi         ``/openapi.json``
    page            the page for operators at ``/``
"""

from pushlane.callback.chat_message import ChatMessage
from pushlane.callback.policy import Policy
from pushlane.callback.verdict import Verdict

__all__ = ["ChatMessage", "Policy", "Verdict"]
