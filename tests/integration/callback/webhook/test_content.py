"""``/cinnox/webhook``: what of a body is stored, and what the log says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs
from support.producers import bytes_of
from support.webhook import incoming, webhook
from support.webhook_app import Open, Sender, stored

from pushlane.keys import channel_prefix
from pushlane.message_record import read_content

if TYPE_CHECKING:
    from redis import Redis


PREFIX = channel_prefix("support")


@pytest.mark.parametrize(
    "body",
    [
        {"message": {"text": "said"}},
        {"message": {"msg": {"text": "said"}}},
        {"message": {"msgText": "said"}},
        {"message": {"type": 1}, "msgText": "said"},
        {"message": {"text": "", "msg": {"text": "said"}}},
        {"message": {"text": 7, "msg": {"text": "said", "more": [1, {"deep": None}]}}},
    ],
)
def test_the_text_is_found_where_it_may_stand(sender: Sender, redis: Redis, body: dict[str, Any]) -> None:
    """In a channel of texts; what is beside it is not looked at."""
    sender.take({"userId": "alice", "new": {"field": 1}, **body})
    assert stored(redis) == [("alice", "said")]


def test_a_message_without_text_goes_to_a_channel_that_takes_objects_alone(open_app: Open, redis: Redis) -> None:
    """A room of texts has no place for a file; its sender need not try again."""
    app = open_app(webhook("a", token="a-token"), webhook("b", token="b-token", relay_channel="shop"))
    file = {"userId": "alice", "message": {"id": "f", "type": 2, "file": {"name": "a.pdf"}}}
    with capture_logs() as lines:
        app.take(file, "a-token")
    assert "webhook.no_text" in [line["event"] for line in lines]
    app.take(file, "b-token")
    assert (stored(redis), stored(redis, "shop")) == ([], [("alice", file["message"])])


def test_an_object_is_passed_on_as_it_came(open_app: Open, redis: Redis) -> None:
    """Large integers, empty arrays and the order of names among it."""
    app = open_app(webhook(relay_channel="shop"))
    text = '{"z":12345678901234567890,"a":[],"e":{},"n":null,"t":"é😀"}'
    app.take(f'{{"userId":"alice","message":{text}}}'.encode())
    (key,) = redis.scan_iter(f"{channel_prefix('shop')}message:*")
    assert read_content(bytes_of(redis.get(key)))[2].decode() == text


def test_the_log_has_a_line_a_webhook_without_what_it_says(sender: Sender, redis: Redis) -> None:
    """Name, message, conversation and whether it was a repeat."""
    with capture_logs() as lines:
        sender.take(incoming(text="a secret word"))
        sender.take(incoming(text="a secret word"))
        sender.post({"userId": "alice", "message": "a secret word"})
        sender.post({"challenge": "a secret word"})
    (key,) = redis.scan_iter(f"{PREFIX}message:*")
    own = [line for line in lines if line["event"].startswith("webhook.")]
    facts = {"webhook": "shop", "message": key.decode().rpartition(":")[2], "conversation": "alice"}
    assert own[:2] == [
        {"event": "webhook.stored", "log_level": "info", **facts, "duplicate": duplicate} for duplicate in (False, True)
    ]
    assert [line["event"] for line in own[2:]] == ["webhook.refused", "webhook.challenged"]
    assert "secret" not in repr(lines)
