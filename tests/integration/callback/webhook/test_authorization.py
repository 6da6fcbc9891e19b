"""``/cinnox/webhook``: who may send, and where it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from support.in_process import URL
from support.producers import everything
from support.webhook import PATH, TOKEN, bearer, incoming, webhook
from support.webhook_app import HELLO, Open, Sender, stored

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis


def test_the_challenge_is_sent_back(sender: Sender, redis: Redis) -> None:
    """What CINNOX does when an operator enters the address; nothing is stored."""
    before = everything(redis)
    response = sender.post({"challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "code": 0,
        "result": {"challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7"},
    }
    assert sender.post({"challenge": "é" * 1024}).json()["result"] == {"challenge": "é" * 1024}
    assert everything(redis) == before


@pytest.mark.parametrize("challenge", ["", "x" * 1025, "\ud800", 7, None, ["x"], {}, True])
def test_a_challenge_is_a_string_of_bounded_length(sender: Sender, challenge: object) -> None:
    """Nobody gets back what could be anything."""
    response = sender.post({"challenge": challenge})
    assert (response.status_code, response.json()["code"]) == (400, 400)
    assert response.json()["message"] == "challenge: must be a string of 1 to 1024 characters"


def test_a_message_with_a_challenge_beside_it_is_a_message(sender: Sender, redis: Redis) -> None:
    """CINNOX's event envelopes carry one for its own use."""
    sender.take({**incoming(), "type": "message", "challenge": "(internal use)"})
    assert stored(redis) == [("alice", "hello")]
    assert sender.post({"challenge": "x", "message": {}}).json()["message"] == "userId: is missing"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer(" "),
        bearer("wrong"),
        bearer(TOKEN[:-1]),
        bearer(TOKEN + "x"),
        bearer(TOKEN.upper()),
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}, Bearer {TOKEN}"},
        {"Authorization": b"Bearer \xff\xfe"},
        {"X-Authorization": f"Bearer {TOKEN}"},
    ],
    ids=repr,
)
def test_a_wrong_token_gets_401_and_nothing_is_stored(
    sender: Sender, redis: Redis, headers: dict[str, str | bytes]
) -> None:
    """Whatever the body is; the challenge, too, is answered for those who know the token alone."""
    before = everything(redis)
    for body in (HELLO, b'{"challenge": "x"}', b"\xff"):
        response = sender.post(body, headers)
        assert (response.status_code, response.json()["code"]) == (401, 401)
        assert TOKEN not in response.text
    assert everything(redis) == before


def test_two_authorization_headers_are_none(sender: Sender, redis: Redis) -> None:
    """A proxy and this endpoint could each believe another one."""
    before = everything(redis)
    twice = httpx.Headers([("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer wrong")])
    for headers in (twice, httpx.Headers(list(reversed(twice.multi_items())))):
        assert sender.send(httpx.URL(URL + PATH), HELLO, headers.raw).status_code == 401
    assert everything(redis) == before


def test_the_token_decides_the_route(open_app: Open, redis: Redis, tmp_path: Path) -> None:
    """Each webhook has its own channel and room, and two tokens while one of them is changed."""
    (tmp_path / "tokens").write_text("b-old\nb-new\n")
    app = open_app(
        webhook("a", token="a-token", relay_to="im-{message.to.room}"),
        webhook("b", token="", token_file=tmp_path / "tokens", relay_channel="shop"),
    )
    first, second, third = (incoming(number, str(number), to={"room": 7}) for number in (1, 2, 3))
    app.take(first, "a-token")
    app.take(second, "b-old")
    app.take(third, "b-new")
    assert stored(redis) == [("im-7", "1")]
    assert stored(redis, "shop") == [("alice", second["message"]), ("alice", third["message"])]


def test_what_two_webhooks_call_the_same_are_two_messages(open_app: Open, redis: Redis) -> None:
    """Ids are the sender's own."""
    app = open_app(webhook("a", token="a-token"), webhook("b", token="b-token"))
    app.take(incoming(), "a-token")
    app.take(incoming(), "b-token")
    assert stored(redis) == [("alice", "hello")] * 2
