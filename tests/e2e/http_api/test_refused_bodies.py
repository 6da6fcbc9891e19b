"""Enqueueing over HTTP: what a body may be, and what becomes of all others."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import TYPE_CHECKING

import httpx
import pytest
from support.http_api import HELLO, SUPPORT, Api, problem, stored

from pushlane.callback.http.messages import LARGE_AT_ONCE, LARGE_BYTES, MAX_BODY_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis
    from support.callback import Callback


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
