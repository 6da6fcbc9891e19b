"""``/cinnox/webhook``: what is a repeat, which is stored once."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs
from support.channels import push
from support.every_node import url_of
from support.webhook import incoming
from support.webhook_app import HELLO, Sender, stored

from pushlane import Producer, RoomMessage
from pushlane.callback.cinnox import webhook as route
from pushlane.callback.cinnox.body import Incoming, parse
from pushlane.keys import channel_prefix

if TYPE_CHECKING:
    from redis import Redis


PREFIX = channel_prefix("support")


@pytest.mark.parametrize("named", [True, False], ids=["id", "bytes"])
def test_a_repeat_is_stored_once(sender: Sender, redis: Redis, *, named: bool) -> None:
    """Also after the message has been delivered; and each repeat is told that all is well."""
    body = incoming() if named else {"userId": "alice", "message": {"text": "hello"}}
    for _ in range(3):
        sender.take(body)
    assert stored(redis) == [("alice", "hello")]
    push(url := url_of(redis))
    sender.take(body)
    assert push(url) == []
    assert redis.hget(f"{PREFIX}counters", "accepted") == b"1"


@pytest.mark.parametrize(
    "body",
    [
        {"message": {"text": "hello", "id": "7"}},
        {"message": {"text": "hello", "id": 7}},
        {"message": {"text": "hello", "msgID": "7"}},
        {"message": {"text": "hello", "id": "", "msgID": "7"}},
        {"message": {"text": "hello"}, "msgID": "7"},
    ],
)
def test_the_id_says_what_is_a_repeat_wherever_it_stands(sender: Sender, redis: Redis, body: dict[str, Any]) -> None:
    """What else has changed since, such as a count of tries, makes no second message; another id does."""
    sender.take({"userId": "alice", **body})
    sender.take({"userId": "alice", **body, "retry": 1})
    sender.take({"userId": "bob", **body})
    other = json.loads(json.dumps(body).replace("7", "8"))
    sender.take({"userId": "alice", **other})
    assert stored(redis) == [("alice", "hello"), ("bob", "hello"), ("alice", "hello")]


def test_the_first_of_two_texts_with_one_id_stands(sender: Sender, redis: Redis) -> None:
    """An error would bring the second one again and again."""
    sender.take(incoming(1, "first"))
    with capture_logs() as lines:
        sender.take(incoming(1, "second"))
    assert stored(redis) == [("alice", "first")]
    assert [line["event"] for line in lines if line["event"].startswith("webhook")] == ["webhook.conflict"]


@pytest.mark.parametrize("named", [True, False])
def test_no_client_can_send_it_first(sender: Sender, redis: Redis, *, named: bool) -> None:
    """What a key holder can work out of a message that is to come is the key of another one."""
    body = HELLO if named else json.dumps({"userId": "alice", "message": {"text": "hello"}}).encode()
    coming = parse(body)
    assert isinstance(coming, Incoming)
    key = route._digest("shop", coming).encode("ascii", "ignore").decode()
    window = int(time.time() // route.REPEAT_S)
    keys = [key] if named else [f"{key}/{window + ahead}" for ahead in (-1, 0, 1)]
    with Producer(url_of(redis)) as producer:
        for one in keys:
            producer.send("support", RoomMessage("alice", "first"), idempotency_key=one)
    sender.take(body)
    assert stored(redis)[len(keys) :] == [("alice", "hello")]


def test_without_an_id_the_same_bytes_are_a_repeat_for_minutes(
    sender: Sender, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the edge between two windows, too; but not for ever, as people say "ok" more than once."""
    body = {"userId": "alice", "message": {"text": "ok"}}
    now = 1_000_000 * route.REPEAT_S
    for moment, count in ((now - 1, 1), (now, 1), (now + route.REPEAT_S - 1, 1), (now + route.REPEAT_S, 2)):
        monkeypatch.setattr("pushlane.callback.cinnox.webhook.time.time", lambda moment=moment: float(moment))
        sender.take(body)
        assert len(stored(redis)) == count, moment - now
    sender.take({"userId": "alice", "message": {"text": "ok", "ts": 1}})
    sender.take({"userId": "alice", "message": {"text": "ok"}, "seq": 1})
    assert stored(redis) == [("alice", "ok")] * 4
