"""Enqueueing over HTTP: what is refused, with which answer, and what a stranger can learn."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from redis import Redis
from support.callback import Callback, callback
from support.channels import register
from support.http_api import HELLO, KEYS, SHOP, SUPPORT, Api, problem, stored
from support.waiting import wait_until

from pushlane import Producer, RoomMessage
from pushlane.callback.http.messages import LARGE_AT_ONCE, LARGE_BYTES, MAX_BODY_BYTES
from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

TIMEOUT_S = 2.0
SLACK_S = 1.0
"""For a machine that does other things at the same time."""
NO_ID = "0" * 32


@pytest.fixture(scope="module")
def serving(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callback]:
    """One callback for all of these tests; each begins with an empty database."""
    with callback(tmp_path_factory.mktemp("callback"), server.url, KEYS) as running:
        yield running


@pytest.fixture
def api(serving: Callback, redis: Redis) -> Iterator[Api]:
    """The client of a service that may use the registered channel `support`."""
    register(redis)
    with Api(serving.url) as client:
        yield client


# --- what a body may be ----------------------------------------------------------------------------------------------

NO_FORM: list[tuple[bytes, str, str]] = [
    (b"", "message", "not JSON"),
    (b"null", "message", "object"),
    (b'"s3cret"', "message", "object"),
    (b"[]", "messages", "1 to 1000"),
    (b"[[]]", "message", "object"),
    (b'{"room_id": "r", "text": "s3cret"', "message", "not JSON"),
    (b'{"room_id": "r", "text": "s3cret"} {}', "message", "not JSON"),
    (b'{"room_id": "r", "text": "s3cret", "text": "s3cret"}', "text", "twice"),
    (b'[{"room_id": "r", "text": "s3cret", "text": "s3cret"}]', "text", "twice"),
    (b'{"room_id": "r", "text": "s3cret\\ud800"}', "text", "surrogate"),
    (b'{"room_id": "\\udfff", "text": "s3cret"}', "room_id", "surrogate"),
    (b'{"room_id": "r", "text": "s3cret", "\\ud800": 1}', "'\\ud800'", "not a field"),
    (b'{"room_id": "r\\u0000", "text": "s3cret"}', "room_id", "control"),
    (b'{"room_id": "r", "text": "s3cret", "expires_in_s": NaN}', "message", "NaN"),
    (b'{"room_id": "r", "text": "s3cret", "expires_in_s": -Infinity}', "message", "Infinity"),
    (b'{"room_id": "r", "text": "s3cret", "expires_in_s": 1e999}', "message", "a double"),
    (b'{"room_id": "r", "text": "s3cret", "expires_in_s": -1.797e308}', "expires_in_s", "more than 0"),
    (b'{"room_id": "r", "text": "s3cret", "expires_in_s": ' + b"9" * 5000 + b"}", "message", "too long"),
    (b'{"room_id": "r", "text": "s3cret", "expires_in_s": ' + b"9" * 4000 + b"}", "expires_in_s", "ahead"),
    (b'{"room_id": "r", "text": "s3cret", "not_before": "2026-11-22"}', "not_before", "RFC 3339"),
    (b'{"room_id": "r", "text": "s3cret", "hold": {"key": "k"}}', "hold.timeout", "seconds"),
    (b'{"room_id": "r", "text": "s3cret\xff"}', "message", "UTF-8"),
    (json.dumps(HELLO).encode("utf-16"), "message", "UTF-8"),
    (json.dumps(HELLO).encode("utf-8-sig"), "message", "JSON"),
    (b"[" * 100_000, "message", "deep"),
    (b'{"a":' * 9_000, "message", "deep"),
    (b'{"a":' * 100_000, "message", "10000 values"),
    (b'{"user_id": "u", "message": ' + b"[" * 500 + b"]" * 500 + b"}", "message", "deep"),
    (b'{"user_id": "u", "message": {"a": ' + b"[" * 500 + b"]" * 500 + b"}}", "message", "deep"),
    (b'{"user_id": "u", "message": {"a": "s3cret"}}', "message", "kind"),
]


@pytest.mark.parametrize(("body", "field", "word"), NO_FORM, ids=lambda value: repr(value)[:40])
def test_what_is_no_message_is_refused_without_being_quoted(
    api: Api, redis: Redis, body: bytes, field: str, word: str
) -> None:
    """422 with the field and what is wrong with it; nothing is stored."""
    answer = api.post(SUPPORT, content=body)
    told = problem(answer, 422)
    assert (told["field"], word in told["problem"]) == (field, True), told
    assert "s3cret" not in answer.text
    assert stored(redis) == []


UNREADABLE: list[tuple[bytes, int | None]] = [
    (b'[{"room_id": "r", "text": "x"}, {"room_id": "r", "text": "x", "text": "x"}]', 1),
    (b' [ {"room_id": "r", "text": "x"} ,\n{"room_id": "r", "text": "[{}, {}]"}\t, {"expires_in_s": NaN}]', 2),
    (b'[{"room_id": "r", "text": "x"}, {"a": {"b": 1, "b": 2}}]', 1),
    (b'[{"text": "unended', 0),
    (b'[{"room_id": "r", "text": "x"}, ]', 1),
    (b'[{"room_id": "r", "text": "x"}, 1, {"a": NaN}]', 1),
    (b'[{"room_id": "r", "text": "x"}', None),
    (b'[{"room_id": "r", "text": "x"}] 1', None),
    (b'[{"text": "\xff"}]', None),
    (b'{"a": [1, NaN]}', None),
]


@pytest.mark.parametrize(("body", "index"), UNREADABLE, ids=repr)
def test_what_makes_a_list_unreadable_is_told_by_its_element(api: Api, body: bytes, index: int | None) -> None:
    """A list of a thousand has a thousand places to look at."""
    assert problem(api.post(SUPPORT, content=body), 422).get("index") == index


@pytest.mark.parametrize(
    ("headers", "body", "word"),
    [
        ({"Idempotency-Key": "a"}, HELLO | {"idempotency_key": "b"}, "differs"),
        ({"Idempotency-Key": "a"}, [HELLO | {"idempotency_key": "a"}], "differs"),
        ({"Idempotency-Key": ""}, HELLO, "255"),
        ({"Idempotency-Key": "k" * 256}, HELLO, "255"),
        ({"Idempotency-Key": "k" * 255}, [HELLO], "255"),
        ({"Idempotency-Key": "\u00e9".encode()}, HELLO, "ASCII"),
        ([("Idempotency-Key", "a"), ("Idempotency-Key", "a")], HELLO, "twice"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_key_that_is_none_or_not_the_only_one_is_refused(
    api: Api, redis: Redis, headers: Mapping[str, str], body: object, word: str
) -> None:
    """422, before anything is stored under one of them."""
    told = problem(api.post(SUPPORT, json=body, headers=headers), 422)
    assert word in told["problem"]
    assert stored(redis) == []


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "json", "", "*/*"]
)
@pytest.mark.parametrize("path", [SUPPORT, "/v1/channels/support/decisions/k"])
def test_another_media_type_is_refused(api: Api, path: str, kind: str) -> None:
    """415: we take no form that a browser sends by itself."""
    problem(api.post(path, content=json.dumps(HELLO).encode(), headers={"Content-Type": kind}), 415)


def test_a_body_that_is_too_large_is_refused_before_its_end(serving: Callback, api: Api, redis: Redis) -> None:
    """413 while the rest is still to come, in one piece or in chunks; up to the limit it is taken."""
    blanks = b" " * (MAX_BODY_BYTES - len(json.dumps(HELLO)))
    assert api.post(SUPPORT, content=json.dumps(HELLO).encode() + blanks).status_code == 202
    problem(api.post(SUPPORT, content=json.dumps(HELLO).encode() + blanks + b" "), 413)
    address = httpx.URL(serving.url)
    with socket.create_connection((address.host, address.port or 80), timeout=10) as peer:
        head = f"POST {SUPPORT} HTTP/1.1\r\nHost: x\r\nAuthorization: {api.headers['authorization']}\r\n"
        peer.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(MAX_BODY_BYTES // 2**16 + 1):
                peer.sendall(b"10000\r\n" + b" " * 2**16 + b"\r\n")
        assert peer.recv(100).startswith(b"HTTP/1.1 413")
    assert len(stored(redis)) == 1


@pytest.mark.long
def test_a_body_that_does_not_come_is_given_up(serving: Callback, api: Api) -> None:
    """408 after 4 s, and the connection is closed."""
    address = httpx.URL(serving.url)
    with socket.create_connection((address.host, address.port or 80), timeout=10) as peer:
        head = f"POST {SUPPORT} HTTP/1.1\r\nHost: x\r\nAuthorization: {api.headers['authorization']}\r\n"
        peer.sendall(head.encode() + b"Content-Length: 100\r\n\r\n{")
        answer = b"".join(iter(lambda: peer.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408")


def test_only_a_few_large_bodies_are_held_at_once(serving: Callback, api: Api, redis: Redis) -> None:
    """Another one gets 503 after a second; small ones go on, and so does a large one once there is room."""
    large = json.dumps(HELLO).encode() + b" " * LARGE_BYTES
    address = httpx.URL(serving.url)
    head = f"POST {SUPPORT} HTTP/1.1\r\nHost: x\r\nAuthorization: {api.headers['authorization']}\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(LARGE_AT_ONCE):
            peer = stack.enter_context(socket.create_connection((address.host, address.port or 80), timeout=10))
            peer.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
        answer = api.post(SUPPORT, content=large)
        assert "nothing was done" in problem(answer, 503)["detail"]
        assert answer.headers["retry-after"] == "1"
        assert stored(redis) == []
        assert api.post(SUPPORT, json=HELLO).status_code == 202
    assert api.post(SUPPORT, content=large).status_code == 202


# --- who may, and what a stranger learns -----------------------------------------------------------------------------

REQUESTS = [
    ("POST", "/v1/channels/{channel}/messages"),
    ("GET", "/v1/channels/{channel}/messages/{message_id}"),
    ("DELETE", "/v1/channels/{channel}/messages/{message_id}"),
    ("POST", "/v1/channels/{channel}/decisions/k"),
]


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_a_key_for_one_channel_learns_nothing_of_another(serving: Callback, api: Api, method: str, path: str) -> None:
    """403 in the same words, whether the message is there or not, and whether there is such a channel at all."""
    message_id = api.post(SUPPORT, json=HELLO).json()["message_id"]
    with Api(serving.url, SHOP) as shop:
        asked = [
            ("support", message_id),
            ("support", NO_ID),
            ("support", "x"),
            ("unregistered", NO_ID),
            ("nosuch", NO_ID),
        ]
        answers = [
            shop.request(method, path.format(channel=channel, message_id=one), json=HELLO) for channel, one in asked
        ]
    for answer in answers:
        assert problem(answer, 403) == problem(answers[0], 403)
    assert api.get(f"{SUPPORT}/{message_id}").json()["state"] == "queued"


@pytest.mark.parametrize(("method", "path"), REQUESTS)
@pytest.mark.parametrize("key", [None, "wrong", "k3y-of-billing2"])
def test_without_a_known_key_nothing_is_done(
    serving: Callback, api: Api, method: str, path: str, key: str | None
) -> None:
    """401, which names the scheme, before the body is looked at."""
    message_id = api.post(SUPPORT, json=HELLO).json()["message_id"]
    with Api(serving.url, key) as stranger:
        for channel in ("support", "nosuch"):
            answer = stranger.request(method, path.format(channel=channel, message_id=message_id), content=b"{")
            problem(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
    assert api.get(f"{SUPPORT}/{message_id}").json()["state"] == "queued"


def test_a_channel_of_ones_own_that_nobody_has_registered_is_told(api: Api) -> None:
    """404: who may use it may know."""
    told = problem(api.post("/v1/channels/unregistered/messages", json=HELLO), 404)
    assert "pushlane channel register unregistered" in told["detail"]
    for answer in (
        api.get(f"/v1/channels/unregistered/messages/{NO_ID}"),
        api.delete(f"/v1/channels/unregistered/messages/{NO_ID}"),
    ):
        assert problem(answer, 404)["detail"] == told["detail"]


def test_neither_texts_nor_keys_are_logged(serving: Callback, api: Api) -> None:
    """Whether a message is accepted or refused."""
    api.post(SUPPORT, json=HELLO | {"text": "s3cret"}, headers={"Idempotency-Key": "order-s3cret"})
    api.post(SUPPORT, json=HELLO | {"text": "s3cret" * 1000})
    api.post(SUPPORT, json=HELLO | {"s3cret": 1})
    api.get("/the-last-line")
    wait_until(lambda: "/the-last-line" in serving.log.read_text(), "the last line")
    log = serving.log.read_text()
    assert "s3cret" not in log
    assert "k3y-of-billing" not in log


# --- paths and methods -----------------------------------------------------------------------------------------------

ODD = ["%00", "%0A", f"{NO_ID}%0A", "%2F", "%2e%2e", "..", "%FF", "%", "%zz", "x" * 12_000, "%F0%9F%98%80", "{}", "a b"]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd[:20])
def test_an_odd_path_is_not_found_or_refused(serving: Callback, api: Api, odd: str) -> None:
    """A problem document and never a failure of ours, wherever in the path it stands."""
    escaped = odd.replace(" ", "%20")
    for method in ("GET", "DELETE"):
        problem(api.raw(method, f"{SUPPORT}/{escaped}"), 404)
    answer = api.raw("POST", f"/v1/channels/{escaped}/messages", json=HELLO)
    assert answer.status_code in {403, 404, 405}
    problem(answer, answer.status_code)
    answer = api.raw("POST", f"/v1/channels/support/decisions/{escaped}", json={"verdict": "allow"})
    assert answer.status_code in {200, 422}, answer.text
    assert "Traceback" not in serving.log.read_text()


@pytest.mark.parametrize("key", ["%00", "%0A", "a%0Ab", "a%0D", "%FF", "a%C3", "%ED%A0%80", "%C2%85", "k" * 257])
def test_a_hold_key_that_is_none_is_refused_as_such(api: Api, redis: Redis, key: str) -> None:
    """422 for the key, and no two of them are one key."""
    answer = api.raw("POST", f"/v1/channels/support/decisions/{key}", json={"verdict": "allow"})
    assert problem(answer, 422)["field"] == "key"
    assert list(redis.scan_iter("*decision:*")) == []


@pytest.mark.parametrize("reason", [{}, [], 0, False])
def test_a_reason_that_is_no_text_is_refused(api: Api, reason: object) -> None:
    """Also one that is as good as none."""
    answer = api.post("/v1/channels/support/decisions/k", json={"verdict": "forbid", "reason": reason})
    assert problem(answer, 422)["field"] == "reason"


def test_a_rewrite_takes_no_options(api: Api) -> None:
    """They would be ignored."""
    body = {"verdict": "rewrite", "message": HELLO | {"expires_in_s": 60}}
    assert problem(api.post("/v1/channels/support/decisions/k", json=body), 422)["field"] == "message"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (SUPPORT, "POST"),
        (f"{SUPPORT}/{NO_ID}", "DELETE, GET, HEAD"),
        ("/v1/channels/support/decisions/k", "POST"),
        ("/openapi.json", "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE"])
def test_another_method_is_told_which_there_are(api: Api, path: str, allowed: str, method: str) -> None:
    """405 with Allow, as a problem."""
    answer = api.request(method, path)
    problem(answer, 405)
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/channels", f"{SUPPORT}/", "/docs", "//", "/v2/channels"])
def test_where_nothing_is_is_a_problem_too(api: Api, path: str) -> None:
    """404, and no redirect."""
    problem(api.raw("GET", path), 404)


# --- full, and away --------------------------------------------------------------------------------------------------


def test_a_full_channel_says_when_to_come_again(api: Api, redis: Redis) -> None:
    """429 with Retry-After; a list that does not fit is not accepted in part."""
    register(redis, max_queued=2)
    assert api.post(SUPPORT, json=HELLO).status_code == 202
    for body in ([HELLO, HELLO], [HELLO] * 3):
        answer = api.post(SUPPORT, json=body)
        problem(answer, 429)
        assert answer.headers["retry-after"] == "1"
    assert api.post(SUPPORT, json=HELLO).status_code == 202
    problem(api.post(SUPPORT, json=HELLO), 429)
    assert len(stored(redis)) == 2


@pytest.mark.long
def test_without_redis_a_message_was_perhaps_accepted_and_may_be_repeated(tmp_path: Path) -> None:
    """503 within the producer's timeout, whether Redis is frozen or gone; repeated with its key it is one message."""
    key = {"Idempotency-Key": "order-7"}
    with EmbeddedServer(append_only=True) as server:
        with Redis.from_url(server.url) as client:
            register(client)
        with callback(tmp_path, server.url, KEYS) as running, Api(running.url) as api:
            first_id = api.post(SUPPORT, json=HELLO).json()["message_id"]
            server.pause()
            try:
                told = _away(api.post(SUPPORT, json=HELLO, headers=key))
                assert "perhaps accepted" in told["detail"]
                _away(api.get(f"{SUPPORT}/{first_id}"))
                assert "perhaps cancelled" in _away(api.delete(f"{SUPPORT}/{first_id}"))["detail"]
                with Api(running.url, SHOP) as shop:
                    refused = shop.get(f"{SUPPORT}/{first_id}")
                    problem(refused, 403)
                    assert refused.elapsed.total_seconds() < SLACK_S, "Redis was not asked: its time tells nothing"
            finally:
                server.resume()
            receipt = api.post(SUPPORT, json=HELLO, headers=key).json()
            assert receipt["message_id"] == told["message_id"]
            with Producer(server.url) as producer:
                assert producer.send("support", RoomMessage("r", "hello"), idempotency_key="order-7").duplicate
            server.kill()
            _away(api.post(SUPPORT, json=HELLO))
            assert api.get("/readyz").status_code == 503
            server.restart()
            assert api.post(SUPPORT, json=HELLO, headers=key).json() == receipt | {"duplicate": True}
            assert "127.0.0.1" not in json.dumps(told), "where Redis is is nobody's business"


def _away(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["retry-after"] == "1"
    assert answer.elapsed.total_seconds() < TIMEOUT_S + SLACK_S
    return problem(answer, 503)
