"""The fake API refuses what the API's documentation forbids, and says which field is wrong."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from pushlane_worker.fake_api import Control
from pushlane_worker.fake_api.rate import RateWindow
from pushlane_worker.fake_api.record import marker_of
from pushlane_worker.fake_api.rules import Call, MessagePushRules, ReceivedPush, Reply, ThirdPartyRules

RULES = MessagePushRules("shop", "right")
PATH = "/v1/api/apps/shop/message-push"
HEADERS = {"Authorization": "Bearer right", "Content-Type": "application/json"}


def a_body(**changes: object) -> dict[str, Any]:
    """Make a right body with some fields replaced; ``...`` leaves a field out."""
    body: dict[str, Any] = {"roomID": "r1", "messages": [{"type": "text", "text": "hello"}], **changes}
    return {name: value for name, value in body.items() if value is not ...}


def refused(reply: ReceivedPush | Reply | None) -> tuple[int, int, str]:
    """Return status, code and message of a refusal."""
    assert isinstance(reply, Reply), f"not refused: {reply}"
    document = json.loads(reply.body)
    assert set(document) == {"code", "message"}
    return reply.status, document["code"], document["message"]


def a_call(method: str = "POST", path: str = PATH, **headers: str) -> Call:
    """Make a right call with some headers replaced."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Call(method, path, {**HEADERS, **named}, b"", 0.0)


MESSAGE = {"type": "text", "text": "hello"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        ("text", "body"),
        (a_body(roomID=...), "roomID"),
        (a_body(roomID=""), "roomID"),
        (a_body(roomID=7), "roomID"),
        (a_body(roomID=None), "roomID"),
        (a_body(senderEID=""), "senderEID"),
        (a_body(senderEID=7), "senderEID"),
        (a_body(senderEID=None), "senderEID"),
        (a_body(receiverEID=""), "receiverEID"),
        (a_body(receiverEID=["e1"]), "receiverEID"),
        (a_body(receiverEID=None), "receiverEID"),
        (a_body(room_id="r1"), "room_id"),
        (a_body(nickname="Ann"), "nickname"),
        (a_body(messages=...), "messages"),
        (a_body(messages=MESSAGE), "messages"),
        (a_body(messages=[]), "messages"),
        (a_body(messages=[MESSAGE] * 11), "messages"),
        (a_body(messages=["hello"]), "messages[0]"),
        (a_body(messages=[MESSAGE, {"text": "hello"}]), "messages[1].type"),
        (a_body(messages=[{"type": "image", "text": "hello"}]), "messages[0].type"),
        (a_body(messages=[{"type": "Text", "text": "hello"}]), "messages[0].type"),
        (a_body(messages=[{"type": "text"}]), "messages[0].text"),
        (a_body(messages=[{"type": "text", "text": ""}]), "messages[0].text"),
        (a_body(messages=[{"type": "text", "text": 5}]), "messages[0].text"),
        (a_body(messages=[MESSAGE] * 9 + [{"type": "text", "text": "x" * 5001}]), "messages[9].text"),
        (a_body(messages=[{**MESSAGE, "id": "m1"}]), "messages[0].id"),
    ],
)
def test_a_wrong_field_is_refused_by_name(body: object, field: str) -> None:
    """Each rule on the body answers 400, 6451000 and the path of the field that breaks it."""
    status, code, message = refused(RULES.read(json.dumps(body).encode()))
    assert (status, code) == (400, 6451000)
    assert message.startswith(f"{field}: ")


@pytest.mark.parametrize("body", [b"", b"{", b'{"roomID": "\xff"}', b'{"roomID": "\\ud800"}'])
def test_a_body_that_is_no_json_is_a_bad_request(body: bytes) -> None:
    """What cannot be read at all, wrong UTF-8 and lone surrogates included, answers 400 with code 400."""
    status, code, message = refused(RULES.read(body))
    assert (status, code) == (400, 400)
    assert message.startswith("body: ")


def test_a_refusal_never_repeats_the_text() -> None:
    """Error messages end up in logs and dead letters, where no message's text may be."""
    _, _, message = refused(RULES.read(json.dumps(a_body(messages=[{"type": "canary", "text": "canary"}])).encode()))
    assert "canary" not in message


@pytest.mark.parametrize(
    ("call", "status", "code", "named"),
    [
        (a_call(method="GET"), 405, 6450001, "method not found, method: GET url: " + PATH),
        (a_call(Authorization="Bearer wrong"), 401, 401, "Authorization"),
        (a_call(Authorization="right"), 401, 401, "Authorization"),
        (a_call(Authorization=""), 401, 401, "Authorization"),
        (a_call(path="/v1/api/apps/other/message-push"), 404, 404, "appID"),
        (a_call(Content_Type="text/plain"), 415, 415, "Content-Type"),
        (a_call(Content_Type=""), 415, 415, "Content-Type"),
    ],
)
def test_a_wrong_envelope_is_refused_by_name(call: Call, status: int, code: int, named: str) -> None:
    """Method, token, appID and media type are each refused with their own status."""
    assert refused(RULES.refuse(call))[:2] == (status, code)
    assert named in refused(RULES.refuse(call))[2]


def test_the_largest_allowed_push_passes() -> None:
    """Ten messages of 5,000 code points, with both EIDs and a charset in the media type, keep the rules."""
    text = "\N{GRINNING FACE}" * 5000
    body = a_body(senderEID="e1", receiverEID="e2", messages=[{"type": "text", "text": text}] * 10)
    assert RULES.refuse(a_call(Content_Type="application/json; charset=utf-8")) is None
    assert RULES.read(json.dumps(body).encode()) == ReceivedPush("r1", (text,) * 10, "e1", "e2")


def test_absent_eids_are_none() -> None:
    """Without senderEID and receiverEID a push has neither sender nor receiver."""
    assert RULES.read(json.dumps(a_body()).encode()) == ReceivedPush("r1", ("hello",), None, None)


def test_the_rate_window_slides() -> None:
    """A place is free again exactly one period after the arrival that took it, and refused arrivals take none."""
    window = RateWindow("2/10s")
    assert [window.wait_s(now) for now in (0.0, 4.0)] == [0, 0]
    assert [window.wait_s(now) for now in (5.0, 9.0)] == [5, 1]
    assert [window.wait_s(now) for now in (10.0, 10.5, 14.0)] == [0, 3.5, 0]


@pytest.mark.parametrize("rule", ["500", "0/60", "5/0", "5/60m", "-5/60", "5/ 60", "5/60s\n"])
def test_a_wrong_rate_rule_is_refused(rule: str) -> None:
    """A rate that means nothing is refused with the control document, not at the first push."""
    with pytest.raises(ValidationError, match="rate_limit"):
        Control(rate_limit=rule)


@pytest.mark.parametrize("rule", ["none", None])
def test_no_rate_limit_has_a_name(rule: str | None) -> None:
    """``none`` is how an operator writes it."""
    assert Control(rate_limit=rule).rate_limit is None


def test_a_header_value_cannot_end_its_line() -> None:
    """A Retry-After of the operator's choice can be any text, but not a second header."""
    with pytest.raises(ValidationError, match="throttle"):
        Control(throttle="1\r\nX-Other: 2")


OBJECTS = ThirdPartyRules("right")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        ({"message": {}}, "userId"),
        ({"userId": "", "message": {}}, "userId"),
        ({"userId": 7, "message": {}}, "userId"),
        ({"userId": "u"}, "message"),
        ({"userId": "u", "message": "text"}, "message"),
        ({"userId": "u", "message": None}, "message"),
        ({"userId": "u", "message": {}, "text": "x"}, "text"),
    ],
)
def test_a_wrong_field_of_a_third_party_message_is_refused_by_name(body: object, field: str) -> None:
    """As the other face does it: 400, 6451000 and the field."""
    status, code, message = refused(OBJECTS.read(json.dumps(body).encode()))
    assert (status, code) == (400, 6451000)
    assert message.startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (a_call("GET", "/third-party"), 405),
        (a_call(path="/third-party", Authorization="Bearer wrong"), 401),
        (a_call(path="/third-party", Content_Type="text/plain"), 415),
    ],
)
def test_a_wrong_envelope_of_a_third_party_message_is_refused(call: Call, status: int) -> None:
    """Method, token and media type."""
    assert refused(OBJECTS.refuse(call))[0] == status


def test_an_object_is_kept_as_it_came() -> None:
    """A user stands for a room, and the compact JSON of the object for its text."""
    assert OBJECTS.refuse(a_call(path="/third-party")) is None
    assert OBJECTS.read(b'{"userId":"u","message":{"a":[],"b":1.0}}') == ReceivedPush("u", ('{"a":[],"b":1.0}',))


@pytest.mark.parametrize(
    ("text", "marker"),
    [
        ("hello #123", 123),
        ("#0", 0),
        ("a #1 b #22", 22),
        ('{"text":"hello #7"}', 7),
        ('{"list":[{"text":"#7"}]}', 7),
        ('{"text":"#7","id":1}', None),
        ("hello", None),
        ("hello #", None),
        ("hello #1 ", None),
        ("hello #-1", None),
        ("hello #\N{SUPERSCRIPT TWO}", None),
        ("hello #" + "9" * 4999, None),
    ],
)
def test_a_marker_is_the_number_at_the_end(text: str, marker: int | None) -> None:
    """Only ``#`` and up to 18 ASCII digits at the very end are a marker; the end of an object is that of its string."""
    assert marker_of(text) == marker
