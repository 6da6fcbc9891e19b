"""Every rule of a message, at its boundary."""

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane import InvalidMessage, RoomMessage, ThirdPartyMessage
from pushlane.message import (
    MAX_OBJECT_BYTES,
    MAX_OBJECT_DEPTH,
    Limits,
    check_channel_name,
    check_idempotency_key,
)

Cases = list[tuple[Callable[[], object], str]]
UNICODE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | UNICODE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(UNICODE, inner, max_size=4),
    max_leaves=20,
)
LIMITS = Limits(kind="cinnox", max_text=5000, text_unit="codepoints", max_message_bytes=65_536)


def nested(depth: int, leaf: object = None) -> dict[str, Any]:
    """Objects inside each other, this many in all, the innermost with ``leaf`` or empty."""
    value: dict[str, Any] = {} if leaf is None else {"leaf": leaf}
    for _ in range(depth - 1):
        value = {"in": value}
    return value


def sized(size: int) -> dict[str, Any]:
    """An object whose JSON has this many bytes."""
    return {"k": "x" * (size - len('{"k":""}'))}


# --- rooms -------------------------------------------------------------------------------------------------------


@given(UNICODE)
def test_a_text_comes_out_of_the_body_as_it_went_in(text: str) -> None:
    """F65: whatever Unicode a text holds, its body is UTF-8 JSON of exactly that text."""
    assert json.loads(RoomMessage("room", text).body.decode()) == text


@pytest.mark.parametrize(
    "text", [" ", "\0", "\n\t ", "\u202eabc", "\U0001f600" * 3, "a\u2028b", '"\\', "\ufeff", "\x7f"]
)
def test_odd_texts_are_neither_trimmed_nor_changed(text: str) -> None:
    """F65: blanks, NUL, right-to-left marks and astral characters are text like any other."""
    message = RoomMessage("room", text)
    assert message.text == text
    assert json.loads(message.body) == text


@given(UNICODE | st.just(""), st.characters(categories=["Cs"]), UNICODE | st.just(""))
def test_a_lone_surrogate_is_refused_wherever_it_stands(before: str, surrogate: str, after: str) -> None:
    """F65: what no encoder takes stops at the door, in a text as in an id or an object."""
    text = before + surrogate + after
    room = "room" + surrogate
    cases: Cases = [
        (lambda: RoomMessage("room", text), "text"),
        (lambda: RoomMessage(room, "hi"), "room_id"),
        (lambda: RoomMessage("room", "hi", sender_eid=room), "sender_eid"),
        (lambda: ThirdPartyMessage(room, {}), "user_id"),
        (lambda: ThirdPartyMessage("user", {"a": [text]}), "message"),
        (lambda: ThirdPartyMessage("user", {text: 1}), "message"),
    ]
    for make, field in cases:
        with pytest.raises(InvalidMessage) as caught:
            make()
        assert caught.value.field == field


@pytest.mark.parametrize("value", [None, 7, 1.5, b"text", ["text"], object()])
def test_a_field_that_is_no_text_is_refused_by_its_name(value: Any) -> None:  # noqa: ANN401 # any wrong type
    """A wrong type is named, before anything is sent."""
    with pytest.raises(InvalidMessage, match=r"^text: must be a string"):
        RoomMessage("room", value)
    with pytest.raises(InvalidMessage, match=r"^room_id: must be a string"):
        RoomMessage(value, "hi")
    with pytest.raises(InvalidMessage, match=r"^user_id: must be a string"):
        ThirdPartyMessage(value, {})
    if value is not None:
        with pytest.raises(InvalidMessage, match=r"^sender_eid: must be a string"):
            RoomMessage("room", "hi", sender_eid=value)


def test_empty_is_not_absent() -> None:
    """An empty text, id, sender or receiver is refused; only None means that there is none."""
    cases: Cases = [
        (lambda: RoomMessage("room", ""), "text"),
        (lambda: RoomMessage("", "hi"), "room_id"),
        (lambda: RoomMessage("room", "hi", sender_eid=""), "sender_eid"),
        (lambda: RoomMessage("room", "hi", receiver_eid=""), "receiver_eid"),
        (lambda: ThirdPartyMessage("", {}), "user_id"),
    ]
    for make, field in cases:
        with pytest.raises(InvalidMessage, match="must not be empty") as caught:
            make()
        assert caught.value.field == field


@pytest.mark.parametrize(
    "room", ["{room}", "}{", 'a"b', "a'b", "a b", " ", "a:b", "a\\b", "ü", "\u202e", "x" * 256, "ü" * 128, "😀" * 64]
)
def test_an_id_may_hold_anything_printable_up_to_256_bytes(room: str) -> None:
    """Ids are opaque: braces, quotes, blanks and any script are kept as they are."""
    assert RoomMessage(room, "hi").conversation == room
    assert ThirdPartyMessage(room, {}).conversation == room
    assert json.loads(RoomMessage("r", "hi", sender_eid=room).address) == [room, None]


@pytest.mark.parametrize("room", ["x" * 257, "ü" * 128 + "x", "😀" * 64 + "x"])
def test_an_id_of_257_bytes_is_refused(room: str) -> None:
    """The limit is bytes of UTF-8, not characters."""
    with pytest.raises(InvalidMessage, match=r"^room_id: must be at most 256 bytes") as caught:
        RoomMessage(room, "hi")
    assert caught.value.limit == 256


@pytest.mark.parametrize("control", ["\0", "\n", "\r", "\t", "\x1f", "\x7f", "\x80", "\x9f"])
def test_an_id_has_no_control_characters(control: str) -> None:
    """A newline in an id would pass for a separator somewhere; none gets that far."""
    with pytest.raises(InvalidMessage, match=r"^room_id: must not contain control characters"):
        RoomMessage(f"room{control}", "hi")
    with pytest.raises(InvalidMessage, match=r"^receiver_eid: must not contain control characters"):
        RoomMessage("room", "hi", receiver_eid=f"{control}eid")


@pytest.mark.parametrize(
    ("sender", "receiver", "address"),
    [(None, None, None), ("s", None, ["s", None]), (None, "r", [None, "r"]), ("s", "r", ["s", "r"])],
)
def test_the_address_is_sender_and_receiver(sender: str | None, receiver: str | None, address: object) -> None:
    """Two messages share a push only when their addresses are equal, so it names both; without either it is empty."""
    message = RoomMessage("room", "hi", sender_eid=sender, receiver_eid=receiver)
    assert (json.loads(message.address) if message.address else None) == address


def test_messages_are_frozen_and_compare_by_content() -> None:
    """A message that was checked stays what it was."""
    room, user = RoomMessage("room", "hi"), ThirdPartyMessage("user", {"a": 1})
    assert room == RoomMessage("room", "hi") != RoomMessage("room", "ho")
    assert user == ThirdPartyMessage("user", {"a": 1}) != ThirdPartyMessage("user", {"a": 2})
    for message in (room, user):
        for name in ("body", "room_id", "user_id"):
            with pytest.raises((FrozenInstanceError, TypeError, AttributeError)):
                setattr(message, name, "other")


def test_an_error_never_holds_the_text() -> None:
    """Errors are logged; a text or an object's content is not."""
    makers: list[Callable[[], object]] = [
        lambda: RoomMessage("room", "secret\ud800"),
        lambda: ThirdPartyMessage("user", {"secret": float("nan")}),
        lambda: ThirdPartyMessage("user", {"secret\ud800": "secret"}),
        lambda: ThirdPartyMessage("user", {"secret": {"secret"}}),
        lambda: LIMITS.check(RoomMessage("room", "secret" * 1000)),
    ]
    for make in makers:
        with pytest.raises(InvalidMessage) as caught:
            make()
        assert "secret" not in str(caught.value) + repr(caught.value)


def test_an_invalid_message_is_also_a_value_error_and_knows_its_place() -> None:
    """Code that knows nothing of Pushlane may catch ValueError; a list's error names the element."""
    error = InvalidMessage("text", "must not be empty", limit=3)
    assert isinstance(error, ValueError)
    assert (error.field, error.problem, error.limit, error.index) == ("text", "must not be empty", 3, None)
    placed = error.at(7)
    assert (placed.field, placed.problem, placed.limit, placed.index) == ("text", "must not be empty", 3, 7)
    assert str(placed) == "message 7: text: must not be empty"


# --- third parties -----------------------------------------------------------------------------------------------


@given(st.dictionaries(UNICODE, JSON, max_size=5))
def test_an_object_comes_out_of_the_body_as_it_went_in(value: dict[str, Any]) -> None:
    """F66: 64-bit and longer integers, floats and empty arrays are in the body as Python has them."""
    decoded = json.loads(ThirdPartyMessage("user", value).body)
    assert json.dumps(decoded) == json.dumps(value)


def test_an_object_is_kept_as_it_was_when_the_message_was_made() -> None:
    """What a caller does to its dictionary later changes no message."""
    value = {"a": [1]}
    message = ThirdPartyMessage("user", value)
    value["a"].append(2)
    assert message.body == b'{"a":[1]}'


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_json_has_no_number_for_is_refused(number: float) -> None:
    """Python would write NaN, which no other JSON reader takes."""
    with pytest.raises(InvalidMessage, match=r"^message: is not JSON"):
        ThirdPartyMessage("user", {"a": [number]})


@pytest.mark.parametrize("value", [{1}, object(), b"bytes", 1j, pytest.param(10**5000, id="long")])
def test_what_json_can_not_say_is_refused(value: object) -> None:
    """An object with a foreign type in it, or a number of more digits than Python prints, is no message."""
    with pytest.raises(InvalidMessage, match=r"^message: is not JSON"):
        ThirdPartyMessage("user", {"a": value})


@pytest.mark.parametrize("value", [None, "text", 1, [], [("a", 1)]])
def test_only_an_object_is_a_third_party_message(value: Any) -> None:  # noqa: ANN401 # any wrong type
    """Lists, texts and numbers are JSON, but no message."""
    with pytest.raises(InvalidMessage, match=r"^message: must be a JSON object"):
        ThirdPartyMessage("user", value)


@pytest.mark.parametrize("leaf", [None, 1, "text"])
def test_an_object_may_be_nested_64_deep_and_no_deeper(leaf: object) -> None:
    """The depth counts objects and arrays, whatever the innermost holds."""
    ThirdPartyMessage("user", nested(MAX_OBJECT_DEPTH, leaf))
    with pytest.raises(InvalidMessage, match=r"^message: must be nested at most 64 levels deep") as caught:
        ThirdPartyMessage("user", nested(MAX_OBJECT_DEPTH + 1, leaf))
    assert caught.value.limit == MAX_OBJECT_DEPTH


def test_arrays_count_towards_the_depth_and_a_circle_is_too_deep() -> None:
    """Neither a tower of arrays nor an object inside itself reaches the recursion limit."""
    tower: list[Any] = []
    for _ in range(100_000):
        tower = [tower]
    circle: dict[str, Any] = {}
    circle["in"] = circle
    for value in ({"a": tower}, circle):
        with pytest.raises(InvalidMessage, match="nested at most 64 levels deep"):
            ThirdPartyMessage("user", value)


def test_an_object_may_take_64_kib_and_not_a_byte_more() -> None:
    """The size is that of the JSON as it is sent."""
    assert len(ThirdPartyMessage("user", sized(MAX_OBJECT_BYTES)).body) == MAX_OBJECT_BYTES
    with pytest.raises(InvalidMessage, match=r"^message: must be at most 65536 bytes"):
        ThirdPartyMessage("user", sized(MAX_OBJECT_BYTES + 1))


# --- the channel's limits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "longest", "too_long"),
    [
        ("codepoints", "x" * 5000, "x" * 5001),
        ("codepoints", "😀" * 5000, "😀" * 5001),
        ("utf16", "x" * 5000, "x" * 5001),
        ("utf16", "😀" * 2500, "😀" * 2500 + "x"),
        ("bytes", "x" * 5000, "x" * 5001),
        ("bytes", "ü" * 2500, "ü" * 2500 + "x"),
    ],
)
def test_a_text_is_measured_in_the_channels_unit(unit: str, longest: str, too_long: str) -> None:
    """F65: 5,000 pass and 5,001 do not, in whatever the operator calls a character."""
    limits = Limits("cinnox", 5000, unit, 65_536)
    assert limits.check(RoomMessage("room", longest)).body
    with pytest.raises(InvalidMessage, match=rf"^text: has 5001 {unit}, the limit is 5000") as caught:
        limits.check(RoomMessage("room", too_long))
    assert (caught.value.field, caught.value.limit) == ("text", 5000)


def test_a_body_is_measured_in_bytes_as_it_is_stored() -> None:
    """A short text that escapes to a long body counts with its quotes and escapes."""
    limits = Limits("cinnox", 5000, "codepoints", 20)
    assert limits.check(RoomMessage("room", "\0" * 3)).body
    with pytest.raises(InvalidMessage, match=r"^message: takes 26 bytes, the limit is 20"):
        limits.check(RoomMessage("room", "\0" * 4))


def test_a_message_of_the_wrong_kind_is_refused() -> None:
    """A user's message does not fit a room's channel, nor the other way round, and a dictionary fits neither."""
    with pytest.raises(InvalidMessage, match=r"is of kind 'third_party', but the channel is of kind 'cinnox'"):
        LIMITS.check(ThirdPartyMessage("user", {}))
    with pytest.raises(InvalidMessage, match="is of kind 'cinnox', but the channel is of kind 'third_party'"):
        Limits("third_party", 5000, "codepoints", 65_536).check(RoomMessage("room", "hi"))
    with pytest.raises(InvalidMessage, match="must be a RoomMessage or a ThirdPartyMessage, not dict"):
        LIMITS.check({"room_id": "room", "text": "hi"})


# --- names and keys ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "a1", "support", "eu_support_2", "a" * 32])
def test_a_channels_name_is_words_joined_by_underscores(name: str) -> None:
    """Such a name stands in a Redis key, in an environment variable and in a metric as it is."""
    assert check_channel_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "A", "1a", "_a", "a_", "a__b", "a-b", "a.b", "a b", "{a}", "a\n", "ä", "a" * 33, None, 7, b"support"],
)
def test_any_other_channel_name_is_refused(name: object) -> None:
    """A name with ``__`` or a brace would mean something else in the environment or in a Redis Cluster."""
    with pytest.raises(InvalidMessage, match=r"^channel: must be lower-case letters and digits"):
        check_channel_name(name)


@pytest.mark.parametrize("key", ["k", " ", "~", "order-7/attempt 2", "x" * 255])
def test_a_key_is_printable_ascii_up_to_255_characters(key: str) -> None:
    """A key goes into an HTTP header and a log line as it is."""
    assert check_idempotency_key(key) == key


@pytest.mark.parametrize("key", ["", "x" * 256, "a\n", "\0", "\x7f", "ü", None, 7, b"key"])
def test_any_other_key_is_refused(key: object) -> None:
    """An empty key is no key, and is not silently taken for one."""
    with pytest.raises(InvalidMessage, match=r"^idempotency_key: must be 1 to 255 printable ASCII characters"):
        check_idempotency_key(key)
