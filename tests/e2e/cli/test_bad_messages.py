"""`pushlane send`: a message that cannot be enqueued is one line that names it, and keeps out what it should."""

import json
from pathlib import Path

import pytest
from redis import Redis
from support.channels import register
from support.command import pushlane

from pushlane.keys import channel_prefix


def accepted(redis: Redis) -> int:
    """How many messages the channel has ever accepted."""
    return int(redis.hget(f"{channel_prefix('support')}counters", "accepted") or 0)


def lines(count: int) -> list[str]:
    """So many lines of a file, all of them right."""
    return [json.dumps({"room_id": f"room-{n % 7}", "text": f"hello #{n}"}) for n in range(count)]


@pytest.mark.parametrize(
    ("text", "words"),
    [("x" * 5001, ("text", "5001", "5000")), ("", ("text", "empty"))],
    ids=["5001 characters", "empty"],
)
def test_a_text_that_the_api_would_not_take_is_refused(
    text: str, words: tuple[str, ...], redis: Redis, redis_url: str
) -> None:
    """The line names the text and the limit; nothing is enqueued."""
    register(redis)
    pushlane("send", "support", "--room", "r", text, redis_url=redis_url).refused(2, *words)
    assert accepted(redis) == 0


def test_an_unknown_channel_is_refused(redis_url: str, tmp_path: Path) -> None:
    """A typo in a channel's name becomes no queue that nobody drains, by text or by file."""
    file = tmp_path / "messages.jsonl"
    file.write_text("\n".join(lines(3)))
    pushlane("send", "suport", "--room", "r", "hello", redis_url=redis_url).refused(2, "'suport'", "not registered")
    pushlane("send", "suport", "--file", str(file), redis_url=redis_url).refused(2, "'suport'", "not registered")


def test_a_message_of_the_wrong_kind_is_refused(redis: Redis, redis_url: str) -> None:
    """The line names what the message is and what the channel takes."""
    register(redis)
    wrong = json.dumps({"user_id": "u", "message": {"a": 1}}).encode()
    ended = pushlane("send", "support", "--file", "-", stdin=wrong, redis_url=redis_url)
    ended.refused(2, "line 1", "'third_party'", "'cinnox'")
    assert accepted(redis) == 0


def test_a_full_queue_takes_nothing_of_what_does_not_fit(redis: Redis, redis_url: str) -> None:
    """Two free places and three messages: all are refused, and the line says which limit it is."""
    register(redis, max_queued=2)
    ended = pushlane("send", "support", "--file", "-", stdin="\n".join(lines(3)).encode(), redis_url=redis_url)
    ended.refused(1, "'support'", "MAX_QUEUED", "try again")
    assert accepted(redis) == 0


def test_a_queue_that_fills_up_in_the_middle_says_how_far_it_came(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    """The first 1,000 lines fit, the next do not: the line tells the last one that was accepted."""
    register(redis, max_queued=1500)
    file = tmp_path / "messages.jsonl"
    file.write_text("\n".join(["", *lines(2000)]))
    ended = pushlane("send", "support", "--file", str(file), redis_url=redis_url)
    ended.refused(1, "'support'", "MAX_QUEUED", "1,000 messages, up to line 1001, were accepted")
    assert accepted(redis) == 1000


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"room_id": "r", "text": "hello"', ("line 1502", "not JSON")),
        ('{"room_id": "r", "txt": "hello"}', ("line 1502: txt", "did you mean text?")),
        ('{"room_id": "r"}', ("line 1502: text", "missing")),
        ('{"room_id": "r", "text": ""}', ("line 1502: text", "empty")),
        (json.dumps({"room_id": "r", "text": "x" * 5001}), ("line 1502: text", "5000")),
        ('{"room_id": "r", "text": "hello", "idempotency_key": "\\u00e9"}', ("line 1502: idempotency_key", "ASCII")),
        ('{"room_id": "r", "text": "hello", "not_before": "tomorrow"}', ("line 1502: not_before", "RFC 3339")),
        ('{"room_id": "r", "text": "hello", "expires_in_s": -1}', ("line 1502: expires_in_s", "more than 0")),
        ("[]", ("line 1502: message", "object", "array")),
    ],
    ids=[
        "no JSON",
        "unknown field",
        "missing field",
        "empty text",
        "long text",
        "bad key",
        "bad time",
        "bad span",
        "no object",
    ],
)
def test_one_wrong_line_keeps_the_whole_file_out(
    line: str, words: tuple[str, ...], redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    """A file is checked to its end before its first message is sent; the line names number and field."""
    register(redis)
    file = tmp_path / "messages.jsonl"
    file.write_text("\n".join([*lines(1500), "", line, *lines(10)]))
    pushlane("send", "support", "--file", str(file), redis_url=redis_url).refused(2, *words)
    assert accepted(redis) == 0


def test_a_wrong_line_of_standard_input_keeps_its_thousand_out(redis: Redis, redis_url: str) -> None:
    """A stream cannot be read twice: what came a thousand lines before is in, and the line says so."""
    register(redis)
    stream = "\n".join([*lines(1500), "{}", *lines(10)]).encode()
    ended = pushlane("send", "support", "--file", "-", stdin=stream, redis_url=redis_url)
    ended.refused(1, "line 1501: room_id", "missing", "1,000 messages, up to line 1000, were accepted")
    assert accepted(redis) == 1000
