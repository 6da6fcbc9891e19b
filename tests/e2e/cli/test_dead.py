"""How `pushlane dead` lists and shows what will not be tried again."""

import json
import subprocess

import pytest
from redis import Redis
from rich.cells import cell_len
from support.channels import push
from support.command import pushlane, pushlane_in_terminal
from support.processes import environment, installed
from support.queue import Queue, settle
from support.shell import dead_letter, send, show

from pushlane.keys import channel_prefix
from pushlane.outcome import Outcome


def test_dead_letters_are_listed_latest_first_without_their_text(support: str) -> None:
    """As many as were asked for, each with its reason."""
    ids = [dead_letter(support, f"room-{n}", "a secret") for n in range(3)]
    out = pushlane("dead", "list", "support", "--json", "--limit", "2", redis_url=support).ok()
    letters = [json.loads(line) for line in out.splitlines()]
    assert [one["message_id"] for one in letters] == ids[:0:-1]
    assert {(one["reason"], one["detail"]) for one in letters} == {("rejected", "said so")}
    out = pushlane("dead", "list", "support", redis_url=support).ok()
    assert [line.split()[0] for line in out.splitlines()[::3]] == ids[::-1]
    assert "secret" not in out


def test_dead_letters_are_listed_past_a_page(redis: Redis, support: str) -> None:
    """450 of them are three pages, and none is listed twice."""
    stdin = b"\n".join(b'{"room_id": "r%d", "text": "x"}' % n for n in range(450))
    pushlane("send", "support", "--file", "-", stdin=stdin, redis_url=support).ok()
    gate = f"{channel_prefix('support')}gate"
    redis.hset(gate, mapping={"state": "open", "cap": 1000, "epoch": 0})
    redis.hset(f"{channel_prefix('support')}channel", "breaker_after", 1000)
    while redis.zcard(f"{channel_prefix('support')}ready"):
        push(support, Outcome.FAILED, dead="1", reason="a")
    out = pushlane("dead", "list", "support", "--json", "--limit", "1000", redis_url=support).ok()
    assert len({json.loads(line)["message_id"] for line in out.splitlines()}) == 450


def test_a_dead_letter_is_shown_with_what_it_says(support: str) -> None:
    """In the form in which it could be sent again; nothing in it steers the operator's terminal."""
    text = "bad \x1b[2Jtext"
    message_id = dead_letter(support, "r", text)
    letter = show(support, "dead", "show", "support", message_id)
    assert letter["message"] == {"room_id": "r", "text": text, "sender_eid": "agent"}
    assert letter["reason"] == "rejected"
    out = pushlane("dead", "show", "support", message_id, redis_url=support).ok()
    assert "bad \\x1b[2Jtext" in out


def test_a_message_that_is_not_dead_is_no_dead_letter(support: str) -> None:
    """Payloads of living messages are not shown."""
    message_id = send(support, "r")["message_id"]
    pushlane("dead", "show", "support", message_id, redis_url=support).refused(1, message_id, "dead letters")


def test_a_reader_that_has_enough_is_no_error(support: str) -> None:
    """`pushlane dead list … | head` ends without a traceback."""
    for n in range(3):
        dead_letter(support, f"room-{n}", "x")
    words = [installed("pushlane"), "dead", "list", "support"]
    env = environment(PUSHLANE_REDIS_URL=support)
    with subprocess.Popen(words, env=env, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_purged_message_is_no_dead_letter(redis: Redis, redis_url: str) -> None:
    """What is left of it is its status, not what it said."""
    queue = Queue(redis)
    queue.follow_the_server()
    queue.enqueue("room", "a", body=b'"secret"')
    (taken,) = queue.turn().claims
    queue.turn(settle(taken, Outcome.REJECTED, dead="1", reason="r"))
    assert show(redis_url, "dead", "show", "support", "a")["message"]["text"] == "secret"
    assert queue.purge("a") == 1
    assert show(redis_url, "message", "support", "a")["state"] == "dead"
    pushlane("dead", "show", "support", "a", redis_url=redis_url).refused(1, "a is not among the dead letters")


def test_a_dead_letter_of_a_newer_version_is_listed_as_such(redis: Redis, redis_url: str) -> None:
    """It does not keep the others from being read."""
    queue = Queue(redis)
    for one in ("a", "b"):
        queue.enqueue("room", one)
        (taken,) = queue.turn().claims
        queue.turn(settle(taken, Outcome.REJECTED, dead="1", reason="r"))
    redis.set(f"{queue.prefix}message:a", b"3?what a newer version wrote")
    letters = [
        json.loads(line)
        for line in pushlane("dead", "list", "support", "--json", redis_url=redis_url).ok().splitlines()
    ]
    assert {one["message_id"]: one["reason"] for one in letters} == {"a": None, "b": "rejected"}
    assert "layout" in next(one["detail"] for one in letters if one["message_id"] == "a")
    pushlane("dead", "show", "support", "a", redis_url=redis_url).refused(1, "a is not among the dead letters")


@pytest.mark.parametrize(
    ("room", "detail"),
    [
        pytest.param("room", "said so", marks=pytest.mark.long),
        pytest.param("r" * 256, "d" * 2000, marks=pytest.mark.long),
        pytest.param("\u623f" * 23, "\u5931" * 40, marks=pytest.mark.long),
        pytest.param("\u623f\u95f4" * 42, "\u5931\u6557" * 300, marks=pytest.mark.long),
        ("\U0001f600" * 64, "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 " * 60),
        ("cafe\u0301" * 30, "evil \x1b[2J\r\n\x07 text " * 20),
    ],
    ids=["short", "long", "a bit too wide", "wide", "emoji", "control characters"],
)
def test_dead_letters_fit_a_terminal_of_80_columns(room: str, detail: str, redis: Redis, redis_url: str) -> None:
    """Two or three lines each, cut with an ellipsis, whatever the API said; JSON has it in full."""
    queue = Queue(redis)
    message_id = "0123456789abcdef" * 2
    queue.enqueue(room, message_id)
    (taken,) = queue.turn().claims
    queue.overwrite(message_id, "attempts", "9998")
    queue.turn(settle(taken, Outcome.UNKNOWN, dead="1", reason="a", detail=detail))
    commands = (("dead", "list", "support"), ("dead", "replay", "support", "--all", "--dry-run"))
    for command in commands:
        out = pushlane_in_terminal(*command, redis_url=redis_url)
        lines = out.splitlines()[-3:]
        assert max(map(cell_len, lines)) <= 80
        assert lines[0] == f"{message_id}  exhausted  2023-11-14 22:13:20 UTC"
        assert lines[1].endswith("  9,999 attempts  maybe delivered")
        assert (cell_len(room) > 45) == ("\u2026" in lines[1])
        assert all(char.isprintable() for char in "".join(lines))
        assert len(out.splitlines()) == 3 + (command[1] == "replay")
    piped = pushlane(*commands[0], redis_url=redis_url).ok()
    assert "\u2026" not in piped
    assert len(piped.splitlines()) == 3
    (letter,) = [json.loads(line) for line in pushlane(*commands[0], "--json", redis_url=redis_url).ok().splitlines()]
    assert (letter["conversation"], letter["detail"]) == (room, detail[: len(letter["detail"])])
    assert letter["sequence"] == 1
