"""What a push to CINNOX looks like, and what each answer to it means."""

import json
from collections.abc import Mapping

import pytest
from support.channels import channel_with

from pushlane.outcome import Outcome
from pushlane_worker.channels import KINDS
from pushlane_worker.channels.cinnox import Cinnox
from pushlane_worker.queue.outcome import MAX_DETAIL_CHARS, Answer

DELIVERED, THROTTLED, MISCONFIGURED = Outcome.DELIVERED, Outcome.THROTTLED, Outcome.MISCONFIGURED
REJECTED, FAILED, UNKNOWN = Outcome.REJECTED, Outcome.FAILED, Outcome.UNKNOWN


def answer(status: int, body: bytes | str | object = b"", headers: Mapping[str, str] | None = None) -> Answer:
    """An answer; anything but bytes and text is sent as JSON."""
    if not isinstance(body, bytes):
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
    return Answer(status, headers or {}, body)


def token() -> str:
    """The token."""
    return "token"


@pytest.fixture
def cinnox() -> Cinnox:
    """A channel without codes of its operator's."""
    return Cinnox(channel_with(), token)


# --- the request -------------------------------------------------------------------------------------------------


def test_the_registry_knows_the_kind() -> None:
    """A channel's KIND setting finds its class and its limits."""
    kind = KINDS["cinnox"]
    assert kind is Cinnox
    assert (kind.kind, kind.batch_limit, kind.max_text) == ("cinnox", 10, 5000)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (b"", {}),
        (b'["s-1","r-1"]', {"senderEID": "s-1", "receiverEID": "r-1"}),
        (b'["s-1",null]', {"senderEID": "s-1"}),
        (b'[null,"r-1"]', {"receiverEID": "r-1"}),
        (b"[null,null]", {}),
        ('["s \\"ü\\"",null]'.encode(), {"senderEID": 's "ü"'}),
    ],
)
def test_the_body_names_only_those_who_are_given(cinnox: Cinnox, address: bytes, expected: dict[str, str]) -> None:
    """An absent sender or receiver is left out, not null."""
    body = json.loads(cinnox.request("room", address, [b'"hi"']).read())
    assert body == {"roomID": "room", **expected, "messages": [{"type": "text", "text": "hi"}]}


@pytest.mark.parametrize("count", [1, 2, 10])
def test_stored_texts_are_inserted_in_order_and_untouched(cinnox: Cinnox, count: int) -> None:
    """The worker neither parses nor serialises a text again: escapes stay as the producer wrote them."""
    bodies = [f'"{number} \\u00fc ü \\" \\\\ \\n }},{{"'.encode() for number in range(count)]
    content = cinnox.request("room", b"", bodies).read()
    assert all(body in content for body in bodies)
    assert [message["text"] for message in json.loads(content)["messages"]] == [json.loads(body) for body in bodies]


@pytest.mark.parametrize("room", ["room", 'a"b\\c', "ü 漢 🙂", "\x00\n", "</script>"])
def test_a_room_of_any_name_is_escaped(cinnox: Cinnox, room: str) -> None:
    """A room id is data and cannot write into the body."""
    assert json.loads(cinnox.request(room, b"", [b'""']).read())["roomID"] == room


def test_the_headers_are_complete(cinnox: Cinnox) -> None:
    """Any httpx transport can send the request as it is."""
    request = cinnox.request("room", b"", [b'"hi"'])
    headers = dict(request.headers)
    assert headers.pop("user-agent").startswith("pushlane/")
    assert headers == {
        "host": "api.example.com",
        "authorization": "Bearer token",
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-length": str(len(request.read())),
    }
    assert request.method == "POST"


@pytest.mark.parametrize(
    ("base_url", "app_id", "url"),
    [
        ("https://h", "app", "https://h/v1/api/apps/app/message-push"),
        ("https://h/", "app", "https://h/v1/api/apps/app/message-push"),
        ("https://h:8443/eu/", "app", "https://h:8443/eu/v1/api/apps/app/message-push"),
        ("https://h", "a/b?c#d e%ü", "https://h/v1/api/apps/a%2Fb%3Fc%23d%20e%25%C3%BC/message-push"),
    ],
)
def test_the_app_id_is_one_part_of_the_path(base_url: str, app_id: str, url: str) -> None:
    """Whatever the id holds, it cannot lead elsewhere."""
    made = Cinnox(channel_with(base_url=base_url, app_id=app_id), token)
    assert str(made.request("r", b"", [b'""']).url) == url


def test_a_new_token_is_used_at_once() -> None:
    """A token that is read again needs no restart."""
    tokens = iter(["one", "one", "two"])
    cinnox = Cinnox(channel_with(), lambda: next(tokens))
    sent = [cinnox.request("room", b"", [b'""']).headers["authorization"] for _ in range(3)]
    assert sent == ["Bearer one", "Bearer one", "Bearer two"]


# --- the outcome -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 299])
@pytest.mark.parametrize(
    "body",
    ['{"code":0}', '{"code":0.0}', '{"code":-0.0}', '{"code":0,"result":{"x":[1]},"new":null}', '\ufeff{"code":0}\n'],
)
def test_a_success_with_code_0_is_delivered(cinnox: Cinnox, status: int, body: str) -> None:
    """F43: the number 0, in whatever spelling; fields that we do not know are the API's business."""
    assert cinnox.read(answer(status, body)).outcome is DELIVERED


@pytest.mark.parametrize(
    "others", ['"x":1,"x":2', '"result":{"code":1,"code":2}', '"message":"","message":"ok"', '"cid":' + "9" * 60_000]
)
def test_what_is_odd_beside_the_code_costs_no_delivery(cinnox: Cinnox, others: str) -> None:
    """The answer is as clear as without it, and a push that is repeated is a duplicate."""
    assert cinnox.read(answer(200, '{"code":0,' + others + "}")).outcome is DELIVERED


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"<html>",
        b"null",
        b"0",
        b"[]",
        b'[{"code":0}]',
        b"{}",
        b'{"result":{"code":0}}',
        b'{"Code":0}',
        b'{"code":"0"}',
        b'{"code":false}',
        b'{"code":true}',
        b'{"code":null}',
        b'{"code":[0]}',
        b'{"code":400,"code":0}',
        b'{"code":0,"code":400}',
        b'{"code":400,"\\u0063ode":0}',
        b'{"code":NaN}',
        b'{"code":Infinity}',
        b'{"code":1e999}',
        b'{"code":0,"x":-Infinity}',
        b'{"code":0',
        b'{"code":0}}',
        b"{'code':0}",
        b'{"code":0,}',
        b'{"code":0,"message":"\xff"}',
        '{"code":0}'.encode("utf-16"),
        b"\x1f\x8b\x08\x00",
        b"[" * 60_000,
        b'{"code":0,"x":' + b'{"x":' * 12_000,
        b'{"code":' + b"9" * 5000 + b"}",
    ],
)
def test_a_success_that_can_not_be_read_is_unknown(cinnox: Cinnox, body: bytes) -> None:
    """F45: it may have been delivered, so it is neither claimed nor denied."""
    result = cinnox.read(answer(200, body))
    assert result.outcome is UNKNOWN
    assert result.detail.startswith("HTTP 200, no ")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *[(status, MISCONFIGURED) for status in (401, 403, 404, 405, 406, 410, 411, 415)],
        *[(status, MISCONFIGURED) for status in (300, 301, 302, 303, 304, 307, 308)],
        *[(status, REJECTED) for status in (400, 413, 422)],
        *[(status, FAILED) for status in (408, 425, 503)],
        *[(status, UNKNOWN) for status in (500, 502, 504)],
        (429, THROTTLED),
        *[(status, FAILED) for status in (402, 407, 409, 412, 418, 421, 451, 499)],
        *[(status, UNKNOWN) for status in (101, 501, 505, 507, 520, 524, 600, 999)],
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"code":0}', b'{"code":77}', b'{"code":7000001}'])
def test_a_status_speaks_where_no_code_does(cinnox: Cinnox, status: int, outcome: Outcome, body: bytes) -> None:
    """F52, F54, F55: code 0 makes no success of an error, and an unlisted code changes nothing about one."""
    assert cinnox.read(answer(status, body)).outcome is outcome


@pytest.mark.parametrize("status", [200, 204, 205])
def test_a_success_without_a_body_is_unknown(cinnox: Cinnox, status: int) -> None:
    """F59: 204 says that something went well, but not that the messages were taken."""
    assert cinnox.read(answer(status)).outcome is UNKNOWN


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_success_without_a_body_is_what_the_channel_says(status: int) -> None:
    """ON_EMPTY_ANSWER: an endpoint that answers nothing has taken the messages."""
    declared = Cinnox(channel_with(on_empty_answer="delivered"), token)
    assert declared.read(answer(status)).outcome is DELIVERED


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"OK"), (200, b"{}"), (200, b"\n"), (302, b""), (400, b""), (500, b""), (503, b"")]
)
def test_only_an_empty_success_is_the_channels_to_judge(cinnox: Cinnox, status: int, body: bytes) -> None:
    """With the setting or without it, everything else means what it meant."""
    declared = Cinnox(channel_with(on_empty_answer="delivered"), token)
    assert declared.read(answer(status, body)) == cinnox.read(answer(status, body))


OWN_CODES = [
    (6451010, THROTTLED),
    (6450001, MISCONFIGURED),
    (6451000, REJECTED),
    (3000203, REJECTED),
    (3000205, REJECTED),
    (6451001, FAILED),
]


@pytest.mark.parametrize("status", [200, 400, 401, 404, 500, 503])
@pytest.mark.parametrize(("code", "outcome"), OWN_CODES)
def test_a_listed_code_outweighs_the_status(cinnox: Cinnox, status: int, code: int, outcome: Outcome) -> None:
    """F44: nobody documents which status carries which code."""
    for number in (code, float(code)):
        assert cinnox.read(answer(status, {"code": number})).outcome is outcome


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, REJECTED), (400, REJECTED), (401, MISCONFIGURED), (429, THROTTLED), (500, UNKNOWN), (503, FAILED)],
)
def test_code_400_speaks_only_where_it_does_not_contradict(cinnox: Cinnox, status: int, outcome: Outcome) -> None:
    """A code that repeats an HTTP status must not dead-letter messages because a token was revoked."""
    assert cinnox.read(answer(status, {"code": 400})).outcome is outcome


def test_an_unlisted_code_under_a_success_is_failed(cinnox: Cinnox) -> None:
    """F44: a clear "no" whose reason is not known is tried again, and cannot have delivered."""
    for code in (1, -1, 401, 0.5, 7000001, 10**400):
        result = cinnox.read(answer(200, {"code": code}))
        assert result.outcome is FAILED
        assert str(code)[:300] in result.detail


@pytest.mark.parametrize(
    ("code", "outcome"), [(1001, FAILED), (2002, REJECTED), (6451000, FAILED), (6451001, REJECTED)]
)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_an_operator_can_list_codes(status: int, code: int, outcome: Outcome) -> None:
    """RETRY_CODES and REJECT_CODES outweigh what is documented."""
    cinnox = Cinnox(channel_with(retry_codes={1001, 6451000}, reject_codes={2002, 6451001}), token)
    assert cinnox.read(answer(status, {"code": code})).outcome is outcome


def test_an_operator_can_list_a_code_that_repeats_its_status() -> None:
    """A low code speaks under its own status, so that REJECT_CODES can settle what a 409 means."""
    cinnox = Cinnox(channel_with(reject_codes={409}), token)
    assert cinnox.read(answer(409, {"code": 409})).outcome is REJECTED
    assert cinnox.read(answer(409, {"code": 410})).outcome is FAILED


@pytest.mark.parametrize(
    ("code", "whole"), [(3000203, True), (3000205, True), (6451000, False), (400, False), (6451001, False), (0, False)]
)
def test_a_missing_destination_condemns_the_whole_batch(cinnox: Cinnox, code: int, *, whole: bool) -> None:
    """Splitting a batch finds an offender, but not a room that does not exist."""
    assert cinnox.read(answer(200, {"code": code})).whole is whole


def test_a_destination_code_that_the_operator_retries_condemns_nothing() -> None:
    """Only a rejection can condemn."""
    cinnox = Cinnox(channel_with(retry_codes={3000205}), token)
    result = cinnox.read(answer(200, {"code": 3000205}))
    assert (result.outcome, result.whole) == (FAILED, False)


# --- pauses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body"),
    [(429, b""), (503, b"<html>"), (429, b'{"code":6451001}'), (503, b'{"code":6451001}'), (200, b'{"code":6451010}')],
)
def test_a_pause_is_asked_for_by_status_or_code(cinnox: Cinnox, status: int, body: bytes) -> None:
    """F49, F53: the pause goes on, also under a code that says only "failed"."""
    result = cinnox.read(answer(status, body, {"retry-after": "7"}))
    assert (result.outcome, result.retry_after_s) == (THROTTLED, 7)


@pytest.mark.parametrize("value", ["-5", "soon", "nan"])
def test_an_unreadable_pause_still_throttles(cinnox: Cinnox, value: str) -> None:
    """F49: who sends a Retry-After wants a pause, even one that we must measure ourselves."""
    for status in (429, 503):
        result = cinnox.read(answer(status, b"", {"retry-after": value}))
        assert (result.outcome, result.retry_after_s) == (THROTTLED, None)


def test_a_past_date_is_a_pause_of_nothing(cinnox: Cinnox) -> None:
    """F50: dates go through the same clock."""
    result = cinnox.read(answer(429, b"", {"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}))
    assert result.retry_after_s == 0


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_pause_is_none(cinnox: Cinnox, value: str) -> None:
    """A 503 with an empty header is a 503 without one."""
    assert cinnox.read(answer(503, b"", {"retry-after": value})).outcome is FAILED


@pytest.mark.parametrize(("status", "body"), [(200, b'{"code":0}'), (500, b""), (301, b""), (401, b"")])
def test_a_pause_belongs_to_nothing_else(cinnox: Cinnox, status: int, body: bytes) -> None:
    """A Retry-After on another outcome closes no gate."""
    assert cinnox.read(answer(status, body, {"retry-after": "7"})).retry_after_s is None


# --- the detail --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"code": 6451000, "message": "wrong parameter"}, "HTTP 400, code 6451000: wrong parameter"),
        ({"code": 6451000.0, "message": ""}, "HTTP 400, code 6451000"),
        ({"code": 1}, "HTTP 400, code 1"),
        ({"code": 1, "message": {"no": "text"}}, "HTTP 400, code 1"),
        ({"code": 1, "message": "a\r\n\x1b[31mb\x00\u202e\u2028c\ud800 "}, "HTTP 400, code 1: a [31mb c"),
        ({"code": 1, "message": "größer 漢字 🙂"}, "HTTP 400, code 1: größer 漢字 🙂"),
        (b"", "HTTP 400, no answer"),
        (b"\n", "HTTP 400, no answer"),
        (b"<h1>\nBad\xff", "HTTP 400, no readable answer: <h1> Bad\ufffd"),
    ],
)
def test_the_detail_is_one_printable_line(cinnox: Cinnox, body: object, detail: str) -> None:
    """The API's own words reach logs and terminals, but not as control sequences or broken text."""
    result = cinnox.read(answer(400, body))
    assert result.detail == detail
    result.detail.encode()


def test_the_detail_is_bounded(cinnox: Cinnox) -> None:
    """A dead letter keeps the reason, not 64 KiB of it."""
    spoken = cinnox.read(answer(400, {"code": 1, "message": "x" * 60_000})).detail
    assert len(spoken) == MAX_DETAIL_CHARS
    unread = cinnox.read(answer(400, b"x" * 60_000)).detail
    assert len(unread) < 200
