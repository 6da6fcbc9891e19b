"""Lists of blocked words, and messages to judge by them."""

from typing import Any

from pushlane.callback import ChatMessage
from pushlane.callback.blocked_words.policy import BlockedWords

FORBID = BlockedWords(
    ["casino", "badword", "free money", "赌博", "赌", "カジノ", "카지노", "казино", "คาสิโน", "كازينو"]
)
MASK = BlockedWords(["casino", "badword", "赌博", "free money"], action="mask")


def message(*elements: dict[str, Any], custom_data: str = "") -> ChatMessage:
    """A message of these elements."""
    return ChatMessage(
        "C2C.CallbackBeforeSendMsg", "1", "a", "b", "k", list(elements), custom_data, online_only=False, fields={}
    )


def element(kind: str, **content: object) -> dict[str, Any]:
    """One element."""
    return {"MsgType": kind, "MsgContent": content}


def said(text: str) -> ChatMessage:
    """A message that is this text."""
    return message(element("TIMTextElem", Text=text))


def catches(policy: BlockedWords, text: str) -> bool:
    """Whether the policy has anything to say of this text."""
    return policy.judge(said(text)) is not None
