"""What `pushlane send` does when nothing is wrong."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from support.channels import claim
from support.command import pushlane
from support.shell import send, show

from pushlane.keys import channel_prefix
from pushlane.message_record import first_expiry, read_header


def test_a_text_is_sent_with_all_its_options(support: str) -> None:
    """Its receipt tells where it is; the same key again is the same message."""
    options = ("--sender-eid", "agent", "--receiver-eid", "guest", "--key", "order-7")
    receipt = send(support, "room-1", "hello", *options)
    assert (receipt["channel"], receipt["conversation"], receipt["sequence"]) == ("support", "room-1", 1)
    assert receipt["duplicate"] is False
    assert send(support, "room-1", "hello", *options) == receipt | {"duplicate": True}
    (taken,) = claim(support)
    assert b'["agent", "guest"]"hello"' in taken.records[0]


def test_a_sent_text_is_one_line_for_a_person(support: str) -> None:
    """The line has what `pushlane message` asks for."""
    out = pushlane("send", "support", "--room", "r", "hello", redis_url=support).ok()
    assert out.startswith("1 message accepted: sequence 1, id ")
    message_id = out.split()[-1]
    assert show(support, "message", "support", message_id)["message_id"] == message_id


@pytest.mark.parametrize("way", ["file", "standard input"])
def test_a_file_is_enqueued_in_its_order(way: str, support: str, redis: Redis, tmp_path: Path) -> None:
    """2,500 lines become 2,500 messages, also those with keys of their own, in the order of the lines."""
    file = tmp_path / "messages.jsonl"
    keyed = {n: {"idempotency_key": f"key-{n}"} for n in (3, 4, 1200)}
    lines = [json.dumps({"room_id": "r", "text": f"hello #{n}", **keyed.get(n, {})}) for n in range(2500)]
    file.write_text("\n".join(lines))
    name, stdin = (str(file), b"") if way == "file" else ("-", file.read_bytes())
    out = pushlane("send", "support", "--file", name, stdin=stdin, redis_url=support).ok()
    assert out == "2,500 messages accepted: sequence 1..2500\n"
    ids: Any = redis.lrange(f"{channel_prefix('support')}conversation:r", 0, -1)
    stored: list[Any] = [redis.get(f"{channel_prefix('support')}message:{one.decode()}") for one in ids]
    assert [str(n).encode() for n in range(2500)] == [record.rpartition(b"#")[2][:-1] for record in stored]


def test_a_file_sent_again_adds_only_what_has_no_key(support: str) -> None:
    """Keys make a repeated file harmless, and the line says how many were known."""
    stdin = b"\n".join(b'{"room_id": "r", "text": "x", "idempotency_key": "k%d"}' % n for n in range(3))
    pushlane("send", "support", "--file", "-", stdin=stdin, redis_url=support).ok()
    again = pushlane("send", "support", "--file", "-", stdin=stdin + b"\n", redis_url=support).ok()
    assert again == "3 messages accepted (3 already known): sequence 1..3\n"


def test_a_file_of_nothing_is_no_error(support: str) -> None:
    """An empty export is a usual thing."""
    assert pushlane("send", "support", "--file", "-", stdin=b"\n\n", redis_url=support).ok() == "no messages\n"


def test_receipts_are_lines_of_json(support: str) -> None:
    """One for each line of the file, in its order, for a program to keep."""
    stdin = b'{"room_id": "a", "text": "x"}\n{"room_id": "b", "text": "y"}\n'
    out = pushlane("send", "support", "--file", "-", "--receipts", stdin=stdin, redis_url=support).ok()
    receipts = [json.loads(line) for line in out.splitlines()]
    assert [(one["conversation"], one["sequence"]) for one in receipts] == [("a", 1), ("b", 2)]


def test_a_text_can_be_scheduled(support: str) -> None:
    """By a time or by seconds from now, with a sign or without; `pushlane message` says when it joins."""
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=300)
    at_text = at.isoformat().replace("+00:00", "Z")
    receipt = send(support, "r", "hello", "--not-before", at_text)
    assert receipt["state"] == "scheduled"
    assert show(support, "message", "support", receipt["message_id"])["due_at"] == at_text.replace("Z", ".000Z")
    for word in ("90", "+90", "90.5"):
        started = datetime.now(UTC)
        message_id = send(support, "r", "hello", "--not-before", word)["message_id"]
        due = datetime.fromisoformat(show(support, "message", "support", message_id)["due_at"])
        assert timedelta(seconds=90) <= due - started + timedelta(milliseconds=1) < timedelta(seconds=100)
    out = pushlane("message", "support", receipt["message_id"], redis_url=support).ok()
    assert f"due at:           {at:%Y-%m-%d}" in out
    assert "maybe delivered:  no" in out


def test_a_text_that_was_due_is_queued_at_once(support: str) -> None:
    """What lies in the past is now."""
    assert send(support, "r", "hello", "--not-before", "2020-01-01T00:00:00+01:00")["state"] == "queued"


def test_a_text_can_expire(redis: Redis, support: str) -> None:
    """Its record says when it is too late for it, in ms of the server's clock."""
    message_id = send(support, "r", "hello", "--expires-in", "1.5")["message_id"]
    record: Any = redis.get(f"{channel_prefix('support')}message:{message_id}")
    details: Any = redis.hget(f"{channel_prefix('support')}details", message_id)
    assert first_expiry([details]) - read_header(record, details).accepted_ms == 1500


def test_lines_of_a_file_have_times_of_their_own(support: str) -> None:
    """`not_before` and `expires_in_s` stand in the line."""
    lines: list[dict[str, object]] = [
        {"not_before": f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%dT%H:%M:%SZ}"},
        {"expires_in_s": 90},
        {},
    ]
    stdin = "\n".join(json.dumps({"room_id": "r", "text": "x", **line}) for line in lines).encode()
    out = pushlane("send", "support", "--file", "-", "--receipts", stdin=stdin, redis_url=support).ok()
    assert [json.loads(line)["state"] for line in out.splitlines()] == ["scheduled", "queued", "queued"]
