"""Where an allowed message goes: by a template of the request's fields, or by a function of the operator's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushlane import effects
from pushlane.callback import template as templates
from pushlane.form import fields_of
from pushlane.message import RoomMessage, ThirdPartyMessage, check_channel_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushlane.callback.chat_message import ChatMessage
    from pushlane.callback.verdict import Verdict
    from pushlane.effects import Effect
    from pushlane.message import Message


@dataclass(frozen=True, slots=True)
class Route:
    """A message for a channel, as a routing function answers it; None relays nothing."""

    channel: str
    message: Message


def by_template(channel: str, template: str) -> Callable[[ChatMessage], Route | None]:
    """Routes each text to the room of this template, such as ``{To_Account}``; a field that is absent is empty."""

    def route(message: ChatMessage) -> Route | None:
        room = templates.fill(template, lambda name: _written(message.fields.get(name)))
        return Route(channel, RoomMessage(room, message.text, sender_eid=None))

    return route


def relay(
    message: ChatMessage, verdict: Verdict, key: str, route: Callable[[ChatMessage], Route | None]
) -> Effect | None:
    """How this message, as the decision ``key`` left it, goes where it is routed; None when it goes nowhere.

    Messages without text, and those that only reach who is online, are relayed nowhere.

    Raises:
        InvalidMessage: The route is no message of ours, such as a room with control characters. Anything else is what
            the route raised.
    """
    if verdict.kind not in {"allow", "rewrite"} or message.online_only or not message.text:
        return None
    target = route(message)
    if target is None:
        return None
    check_channel_name(target.channel)
    return effects.relay(target.channel, _fields(target.message), f"moderation/{key}")


def decide(message: ChatMessage, verdict: Verdict, channel: str) -> Effect:
    """What the verdict on this message, as it was left, does to those that the channel holds for its key.

    A rewrite whose elements hold no text any more forbids what is held: its text was not to be seen.
    """
    if verdict.kind != "rewrite":
        return effects.decide(channel, message.key, verdict.kind, fields=None, reason=verdict.reason)
    if verdict.msg_body is None:
        return effects.decide(channel, message.key, "allow", fields=None, reason=verdict.reason)
    if not message.text:
        return effects.decide(
            channel, message.key, "forbid", fields=None, reason=verdict.reason or "rewritten to no text"
        )
    fields = {"room_id": "-", "text": message.text}
    return effects.decide(channel, message.key, "rewrite", fields=fields, reason=verdict.reason)


def _written(value: object) -> str:
    return str(value) if type(value) in {str, int} else ""


def _fields(message: Message) -> dict[str, object]:
    kind = ThirdPartyMessage.kind if isinstance(message, ThirdPartyMessage) else RoomMessage.kind
    return fields_of(kind, message.conversation, message.address, message.body)
