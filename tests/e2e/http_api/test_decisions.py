"""Deciding on held messages over HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from redis import Redis
from support.callback import Callback, callback
from support.channels import claim, register
from support.command import pushlane
from support.decided import held, state

from pushlane import Hold, Producer, ThirdPartyMessage
from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


pytestmark = pytest.mark.long
KEY = "k3y-of-billing"
KEYS = {
    "PUSHLANE_API_KEYS__BILLING__KEY": KEY,
    "PUSHLANE_API_KEYS__BILLING__CHANNELS": "support,unregistered",
    "PUSHLANE_API_KEYS__SHOP__KEY": "k3y-of-shop",
    "PUSHLANE_API_KEYS__SHOP__CHANNELS": "shop",
}
STRANGE_KEYS = ["plain", "a/b//c/", "/first", "100% a%2Fb", "für dich? ja!", "钥匙;=&+", "..", "a b#c", "k" * 256]


@pytest.fixture
def http(support: str, tmp_path: Path) -> Iterator[Callback]:
    """A callback that only takes decisions."""
    with callback(tmp_path, support, KEYS) as running_callback:
        yield running_callback


def post(
    http: Callback, key: str, document: object, *, channel: str = "support", token: str | None = KEY
) -> httpx.Response:
    """A decision over HTTP, its key percent-encoded as a path has it."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    # As a raw target: a client's address would resolve dots.
    target = f"/v1/channels/{channel}/decisions/{quote(key, safe='/')}".encode()
    with httpx.Client() as client:
        return client.post(http.url, content=body, headers=headers, extensions={"target": target})


def test_a_decision_over_http_is_the_same(http: Callback, producer: Producer) -> None:
    """200 with what was asked for, also the second time."""
    message_id = held(producer, "k")
    for again in ({"verdict": "forbid", "reason": "not nice"}, {"verdict": "forbid"}, {"verdict": "discard"}):
        answer = post(http, "k", again)
        assert (answer.status_code, answer.json()) == (200, {"key": "k", "verdict": again["verdict"]})
        assert state(producer, message_id) == ("dead", "forbidden", "not nice")


def test_a_decision_over_http_that_was_made_otherwise_is_a_conflict(http: Callback, producer: Producer) -> None:
    """409 with the verdict that stands, also for a rewrite with another text; nothing changes."""
    rewrite = {"verdict": "rewrite", "message": {"room_id": "-", "text": "***"}}
    cases: list[tuple[str, Mapping[str, object], Mapping[str, object]]] = [
        ("forbidden", {"verdict": "forbid"}, {"verdict": "allow"}),
        ("allowed", {"verdict": "allow"}, {"verdict": "discard"}),
        ("rewritten", rewrite, {"verdict": "rewrite", "message": {"room_id": "-", "text": "###"}}),
    ]
    for key, first, second in cases:
        message_id = held(producer, key)
        assert post(http, key, first).status_code == 200
        before = state(producer, message_id)
        answer = post(http, key, second)
        told = answer.json()
        assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
        assert (told["verdict"], "decided before" in told["detail"]) == (first["verdict"], True)
        assert ("***" in answer.text, "###" in answer.text, state(producer, message_id)) == (False, False, before)
        assert post(http, key, first).status_code == 200


def test_a_rewrite_over_http_carries_a_message(http: Callback, support: str, producer: Producer) -> None:
    """Of which only what it says counts; null is nothing."""
    held(producer, "k")
    document = {"verdict": "rewrite", "message": {"room_id": "elsewhere", "text": "***"}, "reason": None}
    assert post(http, "k", document).json() == {"key": "k", "verdict": "rewrite"}
    (taken,) = claim(support)
    assert (taken.conversation, taken.records[0][-5:]) == (b"r", b'"***"')
    assert post(http, "other", {"verdict": "discard", "message": None}).json()["verdict"] == "discard"


def test_any_key_goes_through_a_path(http: Callback, producer: Producer) -> None:
    """Slashes, percent signs, blanks and other scripts, once they are percent-encoded."""
    for key in STRANGE_KEYS:
        message_id = held(producer, key)
        answer = post(http, key, {"verdict": "forbid"})
        assert answer.status_code == 200, (key, answer.text)
        assert answer.json()["key"] == key
        assert state(producer, message_id)[0] == "dead"
        message_id = held(producer, f"{key[:255]}!")
        answer = httpx.post(
            f"{http.url}/v1/channels/support/decisions/{quote(key[:255] + '!', safe='')}",
            json={"verdict": "allow"},
            headers={"Authorization": f"bearer  {KEY}"},
        )
        assert answer.json() == {"key": f"{key[:255]}!", "verdict": "allow"}


@pytest.mark.parametrize("token", [None, "none", "wrong", "kéy"])
def test_without_a_key_nothing_is_decided(http: Callback, producer: Producer, token: str | None) -> None:
    """401, in the form of a problem, whatever the channel."""
    message_id = held(producer, "k")
    headers: dict[str, str | bytes] = {} if token is None else {"Authorization": f"Bearer {token}".encode()}
    for channel in ("support", "nobody"):
        url = f"{http.url}/v1/channels/{channel}/decisions/k"
        answer = httpx.post(url, json={"verdict": "allow"}, headers=headers)  # type: ignore[arg-type] # bytes as well
        assert (answer.status_code, answer.json()["status"]) == (401, 401)
        assert answer.headers["content-type"] == "application/problem+json"
    assert state(producer, message_id)[0] == "held"


def test_a_key_is_for_its_channels(http: Callback, producer: Producer) -> None:
    """403 for any other one, whether that exists or not; 404 for one of its own that nobody has registered."""
    message_id = held(producer, "k")
    assert post(http, "k", {"verdict": "allow"}, token="k3y-of-shop").status_code == 403
    assert post(http, "k", {"verdict": "allow"}, channel="nobody").status_code == 403
    answer = post(http, "k", {"verdict": "allow"}, channel="unregistered")
    assert (answer.status_code, "unregistered" in answer.json()["detail"]) == (404, True)
    assert state(producer, message_id)[0] == "held"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"\xff", "body"),
        (b"[1]", "body"),
        (b"[" * 100_000, "body"),
        (b'{"verdict": "allow", "text": "x"}', "body"),
        (b"{}", "verdict"),
        (b'{"verdict": "maybe"}', "verdict"),
        (b'{"verdict": ["allow"]}', "verdict"),
        (b'{"verdict": "rewrite"}', "message"),
        (b'{"verdict": "allow", "message": {"room_id": "r", "text": "x"}}', "message"),
        (b'{"verdict": "rewrite", "message": "x"}', "message"),
        (b'{"verdict": "rewrite", "message": {"room_id": "r"}}', "text"),
        (b'{"verdict": "rewrite", "message": {"user_id": "u", "message": {}}}', "message"),
        (b'{"verdict": "forbid", "reason": 7}', "reason"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_is_no_decision_is_refused(http: Callback, redis: Redis, body: bytes, field: str) -> None:
    """422 with the field; nothing is decided."""
    answer = post(http, "k", body)
    assert (answer.status_code, answer.json().get("field")) == (422, field)
    assert list(redis.scan_iter("*decision:*")) == []


def test_a_key_that_is_none_and_a_body_without_end_are_refused(http: Callback, redis: Redis) -> None:
    """422 for the key, 413 for more than 256 KiB; no other method is allowed."""
    for key in ("", "k" * 257, "a\tb"):
        answer = post(http, key, {"verdict": "allow"})
        assert (answer.status_code, answer.json()["field"]) == (422, "key")
    answer = post(http, "k", b'{"verdict": "allow"' + b" " * 256 * 1024 + b"}")
    assert answer.status_code == 413
    assert httpx.get(f"{http.url}/v1/channels/support/decisions/k").status_code == 405
    assert list(redis.scan_iter("*decision:*")) == []


def test_without_redis_a_decision_over_http_may_be_tried_again(tmp_path: Path) -> None:
    """503 with a Retry-After, whether it is frozen or gone; the same process decides once it is back."""
    with EmbeddedServer(append_only=True) as server:
        with Redis.from_url(server.url) as client:
            register(client)
        with callback(tmp_path, server.url, KEYS) as http:
            assert post(http, "before", {"verdict": "allow"}).status_code == 200
            server.kill()
            answer = post(http, "k", {"verdict": "allow"})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            server.restart()
            assert post(http, "k", {"verdict": "forbid"}).json()["verdict"] == "forbid"
            server.pause()
            try:
                assert post(http, "k", {"verdict": "allow"}).status_code == 503
            finally:
                server.resume()
            answer = post(http, "before", {"verdict": "forbid"})
            assert (answer.status_code, answer.json()["verdict"]) == (409, "allow")


def test_an_object_is_rewritten_over_http_alone(redis: Redis, support: str, tmp_path: Path) -> None:
    """`--text` is for channels of rooms; the other kind says so."""
    register(redis, "objects", kind="third_party")
    settings: Mapping[str, str] = {**KEYS, "PUSHLANE_API_KEYS__BILLING__CHANNELS": "objects"}
    ended = pushlane("decide", "objects", "k", "rewrite", "--text", "x", redis_url=support)
    ended.refused(2, "third_party")
    with Producer(support) as producer, callback(tmp_path, support, settings) as http:
        receipt = producer.send("objects", ThirdPartyMessage("u", {"a": 1}), hold=Hold("k", 60))
        document = {"verdict": "rewrite", "message": {"user_id": "-", "message": {"a": 2}}}
        assert post(http, "k", document, channel="objects").json()["verdict"] == "rewrite"
        status = producer.status("objects", receipt.message_id)
        assert status is not None
        assert status.state == "queued"
    record: Any = redis.get(f"pushlane:1:{{objects}}:message:{receipt.message_id}")
    assert record.endswith(b'{"a":2}')
