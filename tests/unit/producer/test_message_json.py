"""The one JSON form of a message."""

import json

import pytest

from pushlane.errors import InvalidMessage
from pushlane.message import RoomMessage, ThirdPartyMessage
from pushlane.message_json import Form, build, fields_of, parse
from pushlane.send_options import SendOptions

ROOM = {"room_id": "r", "text": "hello"}


def refusal(document: object) -> InvalidMessage:
    """The error that this document meets, given as an object or as bytes."""
    with pytest.raises(InvalidMessage) as caught:
        parse(document if isinstance(document, bytes) else json.dumps(document).encode())
    return caught.value


@pytest.mark.parametrize(
    ("fields", "form"),
    [
        (ROOM, Form(RoomMessage("r", "hello"))),
        (
            {**ROOM, "sender_eid": "s", "receiver_eid": "t", "idempotency_key": "k"},
            Form(RoomMessage("r", "hello", sender_eid="s", receiver_eid="t"), SendOptions("k")),
        ),
        ({**ROOM, "sender_eid": None, "idempotency_key": None}, Form(RoomMessage("r", "hello"))),
        ({"user_id": "u", "message": {"a": [1]}}, Form(ThirdPartyMessage("u", {"a": [1]}))),
        ({"user_id": "u", "message": {}, "idempotency_key": "k"}, Form(ThirdPartyMessage("u", {}), SendOptions("k"))),
    ],
    ids=["room", "room with all", "room with nulls", "user", "user with a key"],
)
def test_a_right_form_becomes_its_message(fields: dict[str, object], form: Form) -> None:
    """The same from bytes and from an object that was parsed already."""
    assert parse(json.dumps(fields).encode()) == form
    assert build(fields) == form


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        ({**ROOM, "senderEID": "s"}, "senderEID", "did you mean sender_eid?"),
        ({"roomID": "r", "text": "hello"}, "roomID", "did you mean room_id?"),
        ({**ROOM, "xyzzy": 1}, "xyzzy", "the fields are room_id, text, sender_eid, receiver_eid, idempotency_key"),
        ({"user_id": "u", "mesage": {}}, "mesage", "did you mean message?"),
        ({**ROOM, "user_id": "u"}, "room_id", "cannot be combined with user_id"),
        ({"user_id": "u", "message": {}, "sender_eid": "s"}, "sender_eid", "cannot be combined with user_id"),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest_known_one(
    fields: dict[str, object], field: str, problem: str
) -> None:
    """A typo must not become a message without its sender."""
    error = refusal(fields)
    assert error.field == field
    assert problem in error.problem


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        ({}, "room_id", "is missing"),
        ({"room_id": "r"}, "text", "is missing"),
        ({"room_id": None, "text": "hello"}, "room_id", "is missing"),
        ({"user_id": "u"}, "message", "is missing"),
        ({"room_id": "r", "text": ""}, "text", "empty"),
        ({"room_id": "r", "text": 5}, "text", "string"),
        ({"room_id": 5, "text": "hello"}, "room_id", "string"),
        ({**ROOM, "sender_eid": ""}, "sender_eid", "empty"),
        ({**ROOM, "idempotency_key": ""}, "idempotency_key", "ASCII"),
        ({**ROOM, "idempotency_key": 7}, "idempotency_key", "ASCII"),
        ({"user_id": "u", "message": "hello"}, "message", "object"),
    ],
)
def test_a_wrong_value_is_refused_by_its_field(fields: dict[str, object], field: str, problem: str) -> None:
    """The error names the field and what is wrong with it."""
    error = refusal(fields)
    assert error.field == field
    assert problem in error.problem


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (b"", "is not JSON"),
        (b'{"room_id": "secret words"', "is not JSON"),
        (b'"hello"', "must be a JSON object, not a string"),
        (b"null", "must be a JSON object, not null"),
        (b"true", "must be a JSON object, not a boolean"),
        (b"\xff{}", "is not UTF-8 at byte 0"),
        (b"[" * 12_000, "is nested too deeply"),
        (b"[" * 100_000, "has more than 10000 values"),
        (b'{"user_id": "u", "message": {"n": NaN}}', "holds NaN, Infinity"),
        (b'{"text": ' + b"9" * 5000 + b"}", "a number that is too long"),
    ],
    ids=["nothing", "half", "string", "null", "boolean", "no UTF-8", "deep", "large", "NaN", "long number"],
)
def test_what_is_no_json_object_is_refused_without_being_quoted(document: bytes, problem: str) -> None:
    """Nothing of a document that cannot be read reaches an error, and so a log."""
    error = refusal(document)
    assert error.field == "message"
    assert problem in error.problem
    assert "secret" not in str(error)


def test_a_field_given_twice_is_refused() -> None:
    """JSON parsers differ on which of them counts."""
    error = refusal(b'{"room_id": "r", "text": "one", "text": "two"}')
    assert (error.field, error.problem) == ("text", "is given twice")


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "", "x" * 10_000, "\u202e"], ids=repr)
def test_an_unknown_name_is_shown_as_one_short_line(name: str) -> None:
    """Whoever chose it can neither forge a log line nor steer a terminal."""
    shown = refusal({**ROOM, name: 1}).field
    assert shown
    assert shown.isprintable()
    assert len(shown) < 80


@pytest.mark.parametrize("hold", [1, "k", {}, {"key": "k"}, {"key": "k", "timeout_s": 0}, {"key": "k", "timeout": 5}])
def test_a_hold_that_is_none_is_refused(hold: object) -> None:
    """A message that is held for ever, or not at all, must not pass for one that is."""
    assert refusal({**ROOM, "hold": hold}).field.startswith("hold")


@pytest.mark.parametrize(
    "fields",
    [
        ROOM,
        {"room_id": "r", "text": "ä\n", "receiver_eid": "t"},
        {"room_id": "r", "text": "x", "sender_eid": "s", "receiver_eid": "t"},
        {"user_id": "u", "message": {"big": 2**63, "none": []}},
    ],
)
def test_the_form_can_be_had_back_from_a_record(fields: dict[str, object]) -> None:
    """What a dead letter shows is what was sent."""
    message = build(fields).message
    assert fields_of(message.kind, message.conversation, message.address, message.body) == fields
