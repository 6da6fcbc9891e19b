"""Enqueueing over HTTP: who may, and what a stranger can learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.http_api import HELLO, SHOP, SUPPORT, Api, problem
from support.waiting import wait_until

if TYPE_CHECKING:
    from support.callback import Callback

NO_ID = "0" * 32
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
