"""`pushlane decide`: deciding on held messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.channels import claim
from support.command import pushlane
from support.decided import held, state
from support.shell import show

from pushlane import Hold, Producer, RoomMessage

if TYPE_CHECKING:
    from redis import Redis

pytestmark = pytest.mark.long
HELLO = RoomMessage("r", "hello")


@pytest.mark.parametrize(
    ("words", "standing", "expected"),
    [
        (("allow",), "allow", ("queued", None, None)),
        (("rewrite", "--text", "*** \u2713"), "rewrite", ("queued", None, None)),
        (("forbid", "--reason", "not nice"), "forbid", ("dead", "forbidden", "not nice")),
        (("forbid",), "forbid", ("dead", "forbidden", "the decision was forbid")),
        (("discard",), "discard", ("dead", "forbidden", "the decision was discard")),
        (("discard", "--reason", "not nice"), "discard", ("dead", "forbidden", "not nice")),
    ],
)
def test_each_verdict_is_decided(
    support: str,
    producer: Producer,
    words: tuple[str, ...],
    standing: str,
    expected: tuple[str, str | None, str | None],
) -> None:
    """It says what stands; the same once more is no failure, another one is and changes nothing."""
    message_id = held(producer, "order/7")
    command = ("decide", "support", "order/7", *words)
    assert pushlane(*command, redis_url=support).ok() == f"order/7: {standing}\n"
    assert state(producer, message_id) == expected
    assert pushlane(*command, redis_url=support).ok().startswith(f"order/7: {standing}; nothing waits for it now")
    other = "forbid" if standing == "allow" else "allow"
    ended = pushlane("decide", "support", "order/7", other, redis_url=support)
    ended.refused(1, "'order/7'", "'support'", "decided before", standing.replace("discard", "forbid"))
    assert state(producer, message_id) == expected
    if words[0] == "rewrite":
        ended = pushlane("decide", "support", "order/7", "rewrite", "--text", "another", redis_url=support)
        ended.refused(1, "'order/7'", "'support'", "decided before", "another text", "rewrite")
        (taken,) = claim(support)
        assert taken.records[0].endswith(json.dumps("*** \u2713", ensure_ascii=False).encode())


def test_a_decision_may_come_before_its_message(support: str, producer: Producer) -> None:
    """Nothing has to wait for it yet; but somebody who has mistyped the key learns that nothing does."""
    told = pushlane("decide", "support", "k", "allow", redis_url=support).ok()
    assert told == "k: allow; nothing waits for it now, and the decision is kept for 8 days\n"
    assert producer.send("support", HELLO, hold=Hold("k", 60)).state == "queued"


def test_a_key_of_any_script_is_taken(support: str, producer: Producer) -> None:
    """As it is; nothing of it steers the terminal."""
    message_id = held(producer, "钥匙 für/7")
    assert pushlane("decide", "support", "钥匙 für/7", "allow", redis_url=support).ok() == "钥匙 für/7: allow\n"
    assert state(producer, message_id)[0] == "queued"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), ("CHANNEL",)),
        (("support", "k"), ("Missing argument", "discard")),
        (("support", "k", "maybe"), ("maybe", "allow", "discard")),
        (("support", "k", "rewrite"), ("--text",)),
        (("support", "k", "allow", "--text", "x"), ("--text",)),
        (("support", "k", "allow", "--reason", "x"), ("--reason", "forbid", "allow")),
        (("support", "k", "rewrite", "--text", "x", "--reason", "x"), ("--reason", "forbid", "rewrite")),
        (("support", "k", "rewrite", "--text", ""), ("text", "empty")),
        (("support", "k", "rewrite", "--text", "x" * 5001), ("text", "5000")),
        (("support", "", "allow"), ("key", "empty")),
        (("support", "k" * 257, "allow"), ("key", "256")),
        (("support", "a\nb", "allow"), ("key", "control")),
        (("support", "\udcff", "allow"), ("KEY", "UTF-8")),
        (("Not A Channel", "k", "allow"), ("channel",)),
        (("nobody", "k", "allow"), ("nobody",)),
    ],
    ids=repr,
)
def test_wrong_use_attempts_nothing(support: str, redis: Redis, words: tuple[str, ...], told: tuple[str, ...]) -> None:
    """One line names what is wrong; exit 2."""
    pushlane("decide", *words, redis_url=support).refused(2, *told)
    assert list(redis.scan_iter("*decision:*")) == []


def test_without_redis_a_decision_fails() -> None:
    """Exit 1, with the setting that says where it should be."""
    ended = pushlane("decide", "support", "k", "allow", redis_url="redis://127.0.0.1:1/0")
    ended.refused(1, "PUSHLANE_REDIS_URL")


def test_a_held_room_is_among_the_blocked_ones(support: str, producer: Producer) -> None:
    """Until when, and how many wait behind; `status` counts it."""
    message_id = held(producer, "k")
    producer.send("support", HELLO)
    status = show(support, "message", "support", message_id)
    assert (status["state"], status["detail"]) == ("held", "waiting for a decision on k")
    (one,) = show(support, "blocked", "support")["blocked"]
    assert (one["state"], one["next_try"], one["behind"]) == ("held", status["due_at"], 1)
    assert one["why"] == "held: its head waits for a decision"
    (channel,) = show(support, "status", "support")["channels"]
    assert (channel["held"], channel["blocked"], channel["depth"]) == (1, 1, 2)
    pushlane("decide", "support", "k", "allow", redis_url=support).ok()
    assert show(support, "blocked", "support")["blocked"] == []
    assert show(support, "status", "support")["channels"][0]["held"] == 0


def test_a_line_of_a_file_can_be_held(support: str, producer: Producer) -> None:
    """As over any other way in."""
    line = {"room_id": "r", "text": "x", "hold": {"key": "k", "timeout_s": 60, "on_timeout": "release"}}
    stdin = json.dumps(line).encode()
    receipt = json.loads(pushlane("send", "support", "--file", "-", "--receipts", stdin=stdin, redis_url=support).ok())
    assert (receipt["state"], state(producer, receipt["message_id"])[0]) == ("held", "held")
