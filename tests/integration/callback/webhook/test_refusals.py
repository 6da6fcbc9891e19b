"""``/cinnox/webhook``: what is refused with nothing stored; never a status 500."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import httpx
from support.channels import register
from support.in_process import URL
from support.producers import everything
from support.webhook import PATH, bearer, incoming, webhook
from support.webhook_app import HELLO, Open, Sender, stored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest
    from redis import Redis


def with_message(message: str) -> bytes:
    """A body with this JSON for the message."""
    return f'{{"userId": "alice", "message": {message}}}'.encode(errors="surrogatepass")


HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "body"),
    "no JSON": (b"hello", "body"),
    "half a message": (HELLO[:-10], "body"),
    "NUL": (b"\0", "body"),
    "a list": (b"[]", "body"),
    "null": (b"null", "body"),
    "a string": (b'"x"', "body"),
    "two documents": (HELLO + HELLO, "body"),
    "UTF-16": (HELLO.decode().encode("utf-16"), "body"),
    "UTF-16 without a mark": (HELLO.decode().encode("utf-16-le"), "body"),
    "UTF-32": (HELLO.decode().encode("utf-32"), "body"),
    "a mark of UTF-8": (b"\xef\xbb\xbf" + HELLO, "body"),
    "broken UTF-8": (HELLO.replace(b"hello", b"hell\xff"), "body"),
    "a raw surrogate": (HELLO.replace(b"hello", b"\xed\xa0\x80"), "body"),
    "gzip": (b"\x1f\x8b\x08\x00\x00", "body"),
    "a form": (b"userId=alice&message=x", "body"),
    "an empty object": (b"{}", "userId"),
    "no user": (b'{"message": {"text": "x"}}', "userId"),
    "a user that is null": (b'{"userId": null, "message": {"text": "x"}}', "userId"),
    "a user that is a number": (b'{"userId": 7, "message": {"text": "x"}}', "userId"),
    "an empty user": (b'{"userId": "", "message": {"text": "x"}}', "userId"),
    "a user with a line break": (b'{"userId": "a\\nb", "message": {"text": "x"}}', "userId"),
    "a user of 257 bytes": (json.dumps(incoming(user="x" * 257)).encode(), "userId"),
    "a user that is half a character": (b'{"userId": "\\ud800", "message": {"text": "x"}}', "userId"),
    "no message": (b'{"userId": "alice"}', "message"),
    "a message that is null": (with_message("null"), "message"),
    "a message that is a string": (with_message('"x"'), "message"),
    "a message that is a list": (with_message("[]"), "message"),
    "an escaped surrogate": (with_message('{"text": "\\ud800"}'), "message"),
    "surrogates the wrong way round": (with_message('{"text": "\\udc00\\ud800"}'), "message"),
    "a surrogate in a name": (with_message('{"\\udfff": 1}'), "message"),
    "NaN": (with_message('{"text": "x", "n": NaN}'), "body"),
    "NaN beside the message": (HELLO[:-1] + b', "n": NaN}', "body"),
    "infinity": (with_message('{"n": -Infinity}'), "body"),
    "a number beyond doubles": (with_message('{"n": 1e999}'), "body"),
    "a number of 10,000 digits": (with_message(f'{{"n": {"1" * 10_000}}}'), "body"),
    "a name twice": (HELLO[:-1] + b', "userId": "bob"}', "userId"),
    "a name twice within": (with_message('{"text": "a", "text": "b"}'), "text"),
    "65 deep": (with_message('{"a":' * 65 + "1" + "}" * 65), "message"),
    "10,000 lists": (with_message('{"a":' + "[" * 10_000 + "]" * 10_000 + "}"), "body"),
    "10,000 open lists": (b"[" * 10_000, "body"),
    "100,000 lists beside the message": (HELLO[:-1] + b', "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "body"),
    "an object over 64 KiB": (json.dumps(incoming(more="x" * 65_536)).encode(), "message"),
    "a text over 5,000": (json.dumps(incoming(text="x" * 5001)).encode(), "text"),
}


def test_what_can_never_be_stored_is_400_and_names_the_field(sender: Sender, redis: Redis) -> None:
    """Whatever the bytes are: nothing is stored, and neither an error of ours nor their own words come back."""
    before = everything(redis)
    for what, (body, field) in HOSTILE.items():
        response = sender.post(body)
        assert (response.status_code, response.json()["code"]) == (400, 400), what
        assert response.json()["message"].startswith(f"{field}: "), (what, response.json())
        assert len(response.content) < 200, what
    assert everything(redis) == before


def test_a_template_that_the_message_does_not_fill_is_400(open_app: Open, redis: Redis) -> None:
    """Messages of different people must not end in one room for want of a field."""
    app = open_app(webhook(relay_to="im-{message.to.room}"))
    before = everything(redis)
    rooms: list[object] = ["", None, 1.5, True, {}, ["a"]]
    unfit: list[object] = [None, {}, "room", [{"room": 1}], *({"room": room} for room in rooms)]
    for to in unfit:
        response = app.post(incoming(to=to))
        assert response.status_code == 400
        assert response.json()["message"].startswith("message.to.room: must be a string or an integer")
    for room, problem in (("a\u0007b", "control characters"), ("x" * 257, "at most 256 bytes"), (10**300, "256 bytes")):
        for text in ("hello", ""):
            response = app.post(incoming(text=text, to={"room": room}))
            assert (response.status_code, problem in response.json()["message"]) == (400, True)
    assert everything(redis) == before


def test_a_body_that_is_too_large_is_413(sender: Sender, redis: Redis) -> None:
    """It is not read to its end, whatever it would be."""
    before = everything(redis)
    for body in (b" " * (256 * 1024 + 1), b"[" * 2**20):
        response = sender.post(body)
        assert (response.status_code, response.json()) == (
            413,
            {"code": 413, "message": "the body has more than 262144 bytes"},
        )
    assert everything(redis) == before


def test_a_body_that_drips_is_408(sender: Sender, redis: Redis) -> None:
    """Its connection is closed, so that it holds nothing; the sender may come again."""
    before = everything(redis)

    async def drips() -> AsyncIterator[bytes]:
        for part in (HELLO[:20], b" ", b" "):
            yield part
            await asyncio.sleep(0.6)
        yield HELLO[20:]

    response = sender.send(httpx.URL(URL + PATH), drips(), bearer())
    assert (response.status_code, response.headers["Connection"]) == (408, "close")
    assert response.json() == {"code": 408, "message": "the body did not arrive within 1 s"}
    assert everything(redis) == before


def test_what_can_be_stored_later_is_503(open_app: Open, redis: Redis) -> None:
    """A channel that no worker has registered yet, and one that is full; the sender's next try is stored."""
    app = open_app(webhook("a", token="a-token", relay_channel="later"), webhook("b", token="b-token"))
    before = everything(redis)
    response = app.post(HELLO, bearer("a-token"))
    assert (response.status_code, response.json()["code"]) == (503, 503)
    assert response.json()["message"] == "the webhook's channel is not registered yet: try again"
    assert everything(redis) == before
    register(redis, "later")
    app.take(HELLO, "a-token")
    register(redis, max_queued=1)
    app.take(incoming(1), "b-token")
    response = app.post(incoming(2), bearer("b-token"))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json() == {"code": 503, "message": "the queue is full: try again"}
    app.take(incoming(1), "b-token")
    register(redis)
    app.take(incoming(2), "b-token")
    assert len(stored(redis)) == 2


def test_only_posts_to_the_one_address_are_taken(sender: Sender) -> None:
    """No page describes the service, and no redirect repeats the request elsewhere."""
    for path in (PATH + "/", "/cinnox", PATH + "x"):
        assert sender.send(httpx.URL(URL + path), HELLO, bearer()).status_code == 404


def test_without_a_webhook_there_is_no_such_address(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens that nobody has configured."""
    monkeypatch.setenv("PUSHLANE_API_KEYS__A__KEY", "k")
    monkeypatch.setenv("PUSHLANE_API_KEYS__A__CHANNELS", "support")
    assert open_app().post().status_code == 404
