"""Where an allowed message goes: by a template of the request's fields, or by the operator's own function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pushlane.callback import template as templates
from pushlane.message import RoomMessage, check_channel_name
from pushlane.message_json import fields_of
from pushlane.service import effects

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pushlane.callback.chat_message import ChatMessage
    from pushlane.callback.verdict import Verdict
    from pushlane.message import Message
    from pushlane.service.effects import Effect


@dataclass(frozen=True, slots=True)
class Route:
    """A message for a channel, as a routing function returns it; one that returns None relays nothing."""

    channel: str
    message: Message


def by_template(channel: str, template: str) -> Callable[[ChatMessage], Route]:
    """Routes each text to the room of this template, such as ``{To_Account}``; an absent field is empty."""

    def route(message: ChatMessage) -> Route:
        room = templates.fill(template, lambda name: templates.written(message.fields.get(name)))
        return Route(channel, RoomMessage(room, message.text, sender_eid=None))

    return route


class Target(NamedTuple):
    """A checked route, with its message as the fields of its JSON form."""

    channel: str
    fields: Mapping[str, object]


def target_of(route: Route | None) -> Target | None:
    """The target of a route. Raises InvalidMessage for an invalid channel name."""
    if route is None:
        return None
    message = route.message
    fields = fields_of(message.kind, message.conversation, message.address, message.body)
    return Target(check_channel_name(route.channel), fields)


def is_relayed(message: ChatMessage, verdict: Verdict) -> bool:
    """Whether a message is relayed: not if it has no text, or only goes to receivers who are online."""
    return verdict.kind in {"allow", "rewrite"} and not message.online_only and bool(message.text)


def relay(target: Target, key: str) -> Effect:
    """The effect that relays the message of the decision ``key`` to its target, once."""
    return effects.relay(target.channel, target.fields, f"moderation/{key}")


def decide(message: ChatMessage, verdict: Verdict, channel: str) -> Effect:
    """The effect of the verdict on the messages that the channel holds for this message's key.

    The message is as the policies left it. A rewrite that leaves no text forbids the held ones, whose text must not be
    seen.
    """
    kind, fields, reason = str(verdict.kind), None, verdict.reason
    if verdict.kind == "rewrite":
        if verdict.msg_body is None:
            kind = "allow"
        elif not message.text:
            kind, reason = "forbid", reason or "rewritten to no text"
        else:
            fields = {"room_id": "-", "text": message.text}
    return effects.decide(channel, message.key, kind, fields=fields, reason=reason)
