"""A message that is being judged, as policies see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushlane.callback.verdict import Verdict


class ChatMessage(NamedTuple):
    """One message on its way through the chat platform.

    Attributes:
        command: ``C2C.CallbackBeforeSendMsg`` or ``Group.CallbackBeforeSendMsg``.
        sdk_app_id: The app that it belongs to.
        sender: The sender's user ID.
        receiver: The receiver's user ID, or the group's ID.
        key: The sender's key for it: MsgKey, or for a group ``<Random>_<MsgId>``. Senders choose it freely.
        msg_body: Its elements, each with ``MsgType`` and ``MsgContent``; unknown ones as they came.
        custom_data: Its CloudCustomData.
        online_only: It only goes to receivers who are online, and is not stored.
        fields: The request's other fields, and its ``SdkAppid``, for routing.
    """

    command: str
    sdk_app_id: str
    sender: str
    receiver: str
    key: str
    msg_body: Sequence[dict[str, Any]]
    custom_data: str
    online_only: bool
    fields: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The text elements, joined by newline."""
        elements: Sequence[Any] = self.msg_body  # policies' rewrites may hold anything
        dicts = (element for element in elements if isinstance(element, dict))
        texts = (_text(element) for element in dicts if element.get("MsgType") == "TIMTextElem")
        return "\n".join(text for text in texts if text)

    def rewritten(self, verdict: Verdict) -> ChatMessage:
        """The message as the verdict leaves it."""
        return self._replace(
            msg_body=self.msg_body if verdict.msg_body is None else verdict.msg_body,
            custom_data=self.custom_data if verdict.custom_data is None else verdict.custom_data,
        )


def _text(element: Mapping[str, Any]) -> str:
    content = element.get("MsgContent")
    text = content.get("Text") if isinstance(content, dict) else None
    return text if isinstance(text, str) else ""
