"""Where an allowed message goes, and what a verdict does to what is held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pushlane.callback import routing
from pushlane.callback.chat_message import ChatMessage
from pushlane.callback.routing import Route, by_template
from pushlane.callback.verdict import Verdict
from pushlane.errors import InvalidMessage
from pushlane.message import RoomMessage, ThirdPartyMessage

if TYPE_CHECKING:
    from collections.abc import Callable

TO_BOB = by_template("support", "{To_Account}")
IMAGE: dict[str, Any] = {"MsgType": "TIMImageElem", "MsgContent": {}}


def said(*texts: str) -> list[dict[str, Any]]:
    """Text elements."""
    return [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}} for text in texts]


def message(*texts: str, online_only: bool = False, **fields: Any) -> ChatMessage:  # noqa: ANN401 # as they come
    """A message from alice to bob."""
    facts = {"From_Account": "alice", "To_Account": "bob", **fields}
    return ChatMessage("C2C", "1", "alice", "bob", "the-key", said(*texts) or [IMAGE], "", online_only, facts)


def done(
    judged: ChatMessage,
    verdict: Verdict,
    route: Callable[[ChatMessage], Route | None] = TO_BOB,
) -> list[dict[str, Any]]:
    """The relay, to bob's room unless told otherwise, if there is one."""
    target = routing.target_of(route(judged)) if routing.is_relayed(judged, verdict) else None
    return [routing.relay(target, "d" * 64)] if target else []


def held(verdict: Verdict, judged: ChatMessage) -> dict[str, Any]:
    """The effect on what is held for the message's key."""
    effect = routing.decide(judged.rewritten(verdict), verdict, "support")
    assert (effect["do"], effect["channel"], effect["key"]) == ("decide", "support", "the-key")
    return effect


def test_an_allowed_message_goes_to_the_room_of_the_template() -> None:
    """Its texts joined by newline, once per decision."""
    (effect,) = done(message("one", "two"), Verdict.allow())
    assert (effect["do"], effect["channel"]) == ("enqueue", "support")
    assert (effect["message"]["room_id"], effect["message"]["text"]) == ("bob", "one\ntwo")
    assert effect["key"] == "moderation/" + "d" * 64


def test_a_rewritten_message_goes_as_it_was_left() -> None:
    """The receiver's agents see what the receiver sees."""
    rewrite = Verdict.rewrite(msg_body=said("***"))
    (effect,) = done(message("casino").rewritten(rewrite), rewrite)
    assert effect["message"]["text"] == "***"


@pytest.mark.parametrize("verdict", [Verdict.forbid(), Verdict.discard()])
def test_what_does_not_pass_goes_nowhere(verdict: Verdict) -> None:
    """Neither refused nor dropped messages reach a room."""
    assert done(message("hello"), verdict) == []


def test_what_has_no_text_or_is_stored_nowhere_goes_nowhere() -> None:
    """A picture is no text, and who was not online was not to see it."""
    assert done(message(), Verdict.allow()) == []
    assert done(message(""), Verdict.allow()) == []
    assert done(message("hello", online_only=True), Verdict.allow()) == []


@pytest.mark.parametrize(
    ("template", "fields", "room"),
    [
        ("{To_Account}", {}, "bob"),
        ("t/{From_Account}-{To_Account}", {}, "t/alice-bob"),
        ("r{Type}", {"Type": "Public"}, "rPublic"),
        ("r{SdkAppid}", {"SdkAppid": 1400000001}, "r1400000001"),
        ("r{GroupId}", {}, "r"),
        ("r{GroupId}", {"GroupId": None}, "r"),
        ("r{GroupId}", {"GroupId": {"a": 1}}, "r"),
        ("r{GroupId}", {"GroupId": True}, "r"),
        ("{To_Account}", {"To_Account": "{From_Account}"}, "{From_Account}"),
        ("{To_Account}", {"To_Account": r"\1"}, r"\1"),
        ("one", {}, "one"),
    ],
)
def test_a_template_takes_what_the_request_says_and_nothing_else(
    template: str, fields: dict[str, Any], room: str
) -> None:
    """A sender's own words are no template, and an absent field is no word."""
    (effect,) = done(message("hello", **fields), Verdict.allow(), route=by_template("support", template))
    assert effect["message"]["room_id"] == room


@pytest.mark.parametrize("account", ["", "a\nb", "x" * 257, "\ud800"])
def test_a_room_that_is_none_is_an_error(account: str) -> None:
    """The moderation logs it, and answers all the same."""
    with pytest.raises(InvalidMessage):
        done(message("hello", To_Account=account), Verdict.allow())


def test_a_routing_of_ones_own_decides_channel_room_and_text() -> None:
    """Or that a message goes nowhere; and it may be for the other kind of channel."""
    route = Route("partner", ThirdPartyMessage("u", {"text": "hello"}))
    (effect,) = done(message("hello"), Verdict.allow(), route=lambda _: route)
    assert effect["channel"] == "partner"
    assert (effect["message"]["user_id"], effect["message"]["message"]) == ("u", {"text": "hello"})
    assert done(message("hello"), Verdict.allow(), route=lambda _: None) == []


@pytest.mark.parametrize("channel", ["Not A Channel", "", None, 7, object()])
def test_a_route_to_what_is_no_channel_is_an_error(channel: Any) -> None:  # noqa: ANN401 # mistakes
    """It would stand in the way of the decisions that are recorded with it."""
    route = Route(channel, RoomMessage("r", "hello"))
    with pytest.raises(InvalidMessage):
        done(message("hello"), Verdict.allow(), route=lambda _: route)


def test_what_is_held_gets_the_verdict() -> None:
    """With its reason, also without a text."""
    assert held(Verdict.allow(), message("hello"))["verdict"] == "allow"
    assert held(Verdict.allow(), message())["verdict"] == "allow"
    forbidden = held(Verdict.forbid(reason="rude"), message("hello"))
    assert (forbidden["verdict"], forbidden["reason"], forbidden["message"]) == ("forbid", "rude", None)
    assert held(Verdict.discard(), message("hello"))["verdict"] == "discard"


def test_what_is_held_is_rewritten_with_the_new_text() -> None:
    """Its room stays its own."""
    effect = held(Verdict.rewrite(msg_body=said("***")), message("casino"))
    assert (effect["verdict"], effect["message"]["text"]) == ("rewrite", "***")


def test_a_rewrite_of_custom_data_alone_lets_what_is_held_pass() -> None:
    """Its text was not found fault with."""
    assert held(Verdict.rewrite(custom_data="{}"), message("hello"))["verdict"] == "allow"


def test_a_rewrite_to_no_text_does_not_release_the_old_one() -> None:
    """What a policy took out of the message is not delivered from the queue."""
    assert held(Verdict.rewrite(msg_body=[IMAGE]), message("casino"))["verdict"] == "forbid"
