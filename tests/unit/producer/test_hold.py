"""What a hold may be, how the script takes it, and what a decision is."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pushlane import Hold, InvalidMessage, RoomMessage, ThirdPartyMessage, UnknownChannel
from pushlane.enqueue_protocol import MAX_REASON_BYTES, decision_of, read_decision
from pushlane.hold import MAX_HOLD_DAYS, StandingDecision
from pushlane.message import Limits
from pushlane.send_options import SendOptions

if TYPE_CHECKING:
    from pushlane.hold import Verdict

ROOMS = Limits("cinnox", 5, "codepoints", 65_536)
OBJECTS = Limits("third_party", 5, "codepoints", 65_536)


@pytest.mark.parametrize(
    ("timeout", "milliseconds"),
    [
        (60, 60_000),
        (0.0001, 1),
        (1.5, 1500),
        (timedelta(minutes=2), 120_000),
        (MAX_HOLD_DAYS * 86_400, 604_800_000),
        (timedelta(days=7), 604_800_000),
    ],
    ids=repr,
)
def test_a_hold_is_never_shorter_than_asked_for(timeout: timedelta | float, milliseconds: int) -> None:
    """In whole milliseconds, as the script takes it."""
    assert SendOptions.check(None, hold=Hold("k", timeout)).hold == f"d{milliseconds}:k"


def test_a_hold_says_what_its_timeout_does() -> None:
    """A dead letter, unless its sender chose otherwise; the key is taken as it is."""
    assert SendOptions.check(None, hold=Hold("a:b/ü 1", 1)).hold == "d1000:a:b/ü 1"
    assert SendOptions.check(None, hold=Hold("k", 1, on_timeout="release")).hold == "r1000:k"
    assert SendOptions.check(None).hold == ""


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("hold.key", {"key": ""}),
        ("hold.key", {"key": "a\nb"}),
        ("hold.key", {"key": "k" * 257}),
        ("hold.key", {"key": "ü" * 129}),
        ("hold.key", {"key": "\ud800"}),
        ("hold.key", {"key": None}),
        ("hold.key", {"key": 7}),
        ("hold.timeout", {"timeout": 0}),
        ("hold.timeout", {"timeout": -1}),
        ("hold.timeout", {"timeout": timedelta(0)}),
        ("hold.timeout", {"timeout": timedelta(days=7, microseconds=1)}),
        ("hold.timeout", {"timeout": math.nan}),
        ("hold.timeout", {"timeout": math.inf}),
        ("hold.timeout", {"timeout": 10**400}),
        ("hold.timeout", {"timeout": True}),
        ("hold.timeout", {"timeout": "60"}),
        ("hold.timeout", {"timeout": None}),
        ("hold.on_timeout", {"on_timeout": "forbid"}),
        ("hold.on_timeout", {"on_timeout": None}),
        ("hold.on_timeout", {"on_timeout": []}),
    ],
    ids=repr,
)
def test_a_hold_that_is_none_is_refused(field: str, arguments: dict[str, Any]) -> None:
    """When it is made, with the name of what is wrong."""
    with pytest.raises(InvalidMessage) as caught:
        Hold(**{"key": "k", "timeout": 60, **arguments})
    assert caught.value.field == field


def test_a_hold_is_a_hold() -> None:
    """A key alone does not say when the wait is over."""
    with pytest.raises(InvalidMessage, match="must be a Hold") as caught:
        SendOptions.check(None, hold="k")  # type: ignore[arg-type] # that is the case
    assert caught.value.field == "hold"


@pytest.mark.parametrize("not_before", [0, -5, 60, timedelta(seconds=1)])
def test_a_hold_does_not_go_with_a_later_time(not_before: timedelta | float) -> None:
    """A held message has its position already."""
    with pytest.raises(InvalidMessage, match="not_before") as caught:
        SendOptions.check(None, not_before, hold=Hold("k", 60))
    assert caught.value.field == "hold"
    with pytest.raises(InvalidMessage, match="not_before"):
        SendOptions.from_json(None, "2026-11-22T12:00:00Z", None, {"key": "k", "timeout_s": 60})


def test_a_hold_goes_with_an_end() -> None:
    """Whichever comes first."""
    options = SendOptions.check("once", expires_in=9, hold=Hold("k", 60))
    assert options == SendOptions("once", "", "9000", "d60000:k")


def test_json_takes_a_hold() -> None:
    """With the unit in the name of its timeout; null is nothing."""
    assert SendOptions.from_json(None, None, None, {"key": "k", "timeout_s": 60}).hold == "d60000:k"
    given = {"key": "k", "timeout_s": 0.5, "on_timeout": "release"}
    assert SendOptions.from_json(None, None, None, given).hold == "r500:k"
    assert SendOptions.from_json(None, None, None, {**given, "on_timeout": None}).hold == "d500:k"
    assert SendOptions.from_json(None, None, None, None).hold == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hold", "k"),
        ("hold", []),
        ("hold", True),
        ("hold", {"key": "k", "timeout_s": 60, "timeout": 60}),
        ("hold.key", {"timeout_s": 60}),
        ("hold.key", {}),
        ("hold.timeout", {"key": "k"}),
        ("hold.timeout", {"key": "k", "timeout_s": None}),
        ("hold.on_timeout", {"key": "k", "timeout_s": 60, "on_timeout": "drop"}),
        ("hold.on_timeout", {"key": "k", "timeout_s": 60, "on_timeout": ""}),
        ("hold.on_timeout", {"key": "k", "timeout_s": 60, "on_timeout": False}),
        ("hold.on_timeout", {"key": "k", "timeout_s": 60, "on_timeout": {}}),
    ],
    ids=repr,
)
def test_json_takes_no_other_holds(field: str, value: object) -> None:
    """A typo must not become a message that is not held."""
    with pytest.raises(InvalidMessage) as caught:
        SendOptions.from_json(None, None, None, value)
    assert caught.value.field == field


def test_decisions_are_what_the_script_takes() -> None:
    """A rewrite carries the new body; a discard is a forbid that says so."""
    assert decision_of(ROOMS, "k", "allow", None, "") == b"a"
    assert decision_of(ROOMS, "k", "allow", None, "whatever") == b"a"
    assert decision_of(ROOMS, "k", "rewrite", RoomMessage("-", "üb"), "") == b"w" + RoomMessage("-", "üb").body
    new = ThirdPartyMessage("-", {"type": "text"})
    assert decision_of(OBJECTS, "k", "rewrite", new, "") == b"w" + new.body
    assert decision_of(ROOMS, "k", "forbid", None, "not nice") == b"fnot nice"
    assert decision_of(ROOMS, "k", "forbid", None, "") == b"fthe decision was forbid"
    assert decision_of(ROOMS, "k", "discard", None, "") == b"fthe decision was discard"
    long = decision_of(ROOMS, "k", "forbid", None, "r" * 9999)
    assert len(long) == 1 + MAX_REASON_BYTES
    assert decision_of(ROOMS, "k", "forbid", None, "\ud800") == b"f?"


@pytest.mark.parametrize(
    ("field", "key", "verdict", "message"),
    [
        ("key", "", "allow", None),
        ("key", "k" * 257, "allow", None),
        ("key", "\ud800", "allow", None),
        ("verdict", "k", "maybe", None),
        ("verdict", "k", "", None),
        ("message", "k", "rewrite", None),
        ("message", "k", "allow", RoomMessage("-", "x")),
        ("message", "k", "forbid", RoomMessage("-", "x")),
        ("text", "k", "rewrite", RoomMessage("-", "too long")),
        ("message", "k", "rewrite", ThirdPartyMessage("-", {})),
    ],
)
def test_a_decision_that_is_none_is_refused(
    field: str,
    key: str,
    verdict: Verdict,
    message: RoomMessage | ThirdPartyMessage | None,
) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidMessage) as caught:
        decision_of(ROOMS, key, verdict, message, "")
    assert caught.value.field == field


def test_the_scripts_answer_is_the_verdict_that_stands() -> None:
    """And whether it says what was asked for now; a reason is not compared."""
    assert read_decision("support", b"a", [b"a", 3, 0]) == (StandingDecision("allow", same=True, met=3), 0)
    assert read_decision("support", b"a", [b'w"x"', 0, 9]) == (StandingDecision("rewrite", same=False, met=0), 9)
    assert read_decision("support", b'w"x"', [b'w"x"', 0, 9]) == (StandingDecision("rewrite", same=True, met=0), 9)
    assert read_decision("support", b'w"y"', [b'w"x"', 0, 9]) == (StandingDecision("rewrite", same=False, met=0), 9)
    assert read_decision("support", b"fno", [b"fwhy", 0, 0]) == (StandingDecision("forbid", same=True, met=0), 0)
    with pytest.raises(UnknownChannel):
        read_decision("support", b"a", [-2])
