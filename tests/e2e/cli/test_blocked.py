"""How `pushlane blocked` shows what cannot move, and skips it."""

import json
import re
from typing import Any

import pytest
from redis import Redis
from rich.cells import cell_len
from support.channels import push, register
from support.command import pushlane, pushlane_in_terminal
from support.queue import Queue, settle
from support.shell import send, show
from support.stack import channel_settings

from pushlane import Hold, Producer, RoomMessage
from pushlane.keys import CHANNELS
from pushlane.outcome import Outcome

WAIT_MS = 60_000
DOWN = "HTTP 500: down"


def block(queue: Queue, room: str, *ids: str, detail: str = DOWN) -> None:
    """Enqueues these messages and lets a push of the first ten fail."""
    queue.enqueue(room, *ids)
    (taken,) = queue.turn().claims
    dead = "0" * len(taken.message_ids)
    queue.turn(settle(taken, Outcome.FAILED, wait_ms=WAIT_MS, dead=dead, detail=detail))
    queue.now += 1000


@pytest.fixture
def queue(redis: Redis) -> Queue:
    """The channel ``support``, whose conversation `stuck` has been blocked for a second: 12 messages."""
    queue = Queue(redis)
    block(queue, "stuck", *(f"s{n}" for n in range(12)))
    return queue


def test_a_gate_of_today_is_told_with_its_reason(support: str) -> None:
    """Times of today need no date, so that the reason has its place."""
    send(support, "r")
    push(support, Outcome.MISCONFIGURED)
    line, blocked, *_ = pushlane("blocked", "support", redis_url=support).ok().splitlines()
    told = r"support: everything waits: broken since \S+ UTC \(misconfigured: said so\).*"
    assert re.fullmatch(told, line)
    assert blocked == "support  r", "whoever was refused"


def listed(url: str, *words: str) -> Any:  # noqa: ANN401 - any JSON
    """The document of `pushlane blocked`."""
    return show(url, "blocked", *words)


def test_blocked_conversations_are_listed_with_what_an_operator_asks(queue: Queue, redis_url: str) -> None:
    """Since when and why, which message it is, its attempts, the next try, and how many wait behind it."""
    assert queue.places("stuck") == ["delayed"]
    (one,) = listed(redis_url, "support")["blocked"]
    assert one == {
        "channel": "support",
        "conversation": "stuck",
        "since": "2023-11-14T22:13:20.000Z",
        "why": DOWN,
        "state": "delayed",
        "next_try": "2023-11-14T22:14:20.000Z",
        "message_id": "s0",
        "attempts": 1,
        "behind": 11,
    }
    assert pushlane("blocked", "support", redis_url=redis_url).ok().splitlines() == [
        "support  stuck",
        "  since 2023-11-14 22:13:20 UTC, next try 2023-11-14 22:14:20 UTC, 11 behind it",
        "  message s0, 1 attempt",
        "  HTTP 500: down",
    ]


def test_the_longest_blocked_come_first_over_all_channels(redis: Redis, redis_url: str) -> None:
    """Those of the settings and those that are registered; the limit counts them all."""
    support, sales = Queue(redis, "support"), Queue(redis, "sales")
    redis.sadd(CHANNELS, "support", "sales")
    for n in range(3):
        for queue in (sales, support):
            queue.now = max(support.now, sales.now)
            block(queue, f"room-{n}", f"m{n}")
    settings = channel_settings("https://api.example.com", "not_registered_yet")
    document = show(redis_url, "blocked", "--limit", "5", settings=settings)
    assert document["total"] == 6
    assert [(one["channel"], one["conversation"]) for one in document["blocked"]] == [
        ("sales", "room-0"),
        ("support", "room-0"),
        ("sales", "room-1"),
        ("support", "room-1"),
        ("sales", "room-2"),
    ]
    assert [one["channel"] for one in listed(redis_url, "sales")["blocked"]] == ["sales"] * 3
    out = pushlane("blocked", "--limit", "5", redis_url=redis_url).ok()
    assert out.endswith("\n\u2026 and 1 more: see --limit\n")


def test_blocked_conversations_are_listed_past_a_page(redis: Redis, redis_url: str) -> None:
    """450 of them are three pages, and none is listed twice."""
    queue = Queue(redis)
    redis.zadd(f"{queue.prefix}blocked", {f"room-{n}": n + 1 for n in range(450)})
    document = listed(redis_url, "support", "--limit", "1000")
    assert [one["conversation"] for one in document["blocked"]] == [f"room-{n}" for n in range(450)]


def test_nothing_blocked_is_said(redis: Redis, redis_url: str) -> None:
    """An empty answer could be taken for a broken command."""
    register(redis)
    assert pushlane("blocked", "support", redis_url=redis_url).ok() == "no conversation is blocked\n"
    assert listed(redis_url, "support") == {"gates": [], "blocked": [], "total": 0}


def test_a_gate_that_keeps_everything_waiting_is_told_first(queue: Queue, redis_url: str) -> None:
    """Broken and paused, since when and why."""
    queue.enqueue("other", "o1")
    (taken,) = queue.turn().claims
    queue.turn(settle(taken, Outcome.MISCONFIGURED, detail="HTTP 401"))
    out = pushlane("blocked", "support", redis_url=redis_url).ok().splitlines()
    broken = "support: everything waits: broken since 2023-11-14 22:13:21 UTC (misconfigured: HTTP 401)"
    broken += " until 2023-11-14 22:13:51 UTC"
    assert out[:2] == [broken, "support  stuck"]
    queue.pause()
    out = pushlane("blocked", "support", redis_url=redis_url).ok().splitlines()
    assert out[:3] == ["support: everything waits: paused since 2023-11-14 22:13:21 UTC", broken, "support  stuck"]
    (gate,) = listed(redis_url, "support")["gates"]
    assert (gate["channel"], gate["state"], gate["reason"]) == ("support", "broken", "misconfigured: HTTP 401")
    assert gate["paused_since"] == "2023-11-14T22:13:21.000Z"


def test_what_is_being_pushed_is_shown_as_such(queue: Queue, redis_url: str) -> None:
    """There is no next try to wait for, and nothing to skip."""
    queue.now += WAIT_MS
    assert len(queue.turn().claims) == 1
    (one,) = listed(redis_url, "support")["blocked"]
    assert (one["state"], one["next_try"]) == ("in_flight", None)
    assert "being pushed now" in pushlane("blocked", "support", redis_url=redis_url).ok()
    ended = pushlane("blocked", "skip", "support", "stuck", redis_url=redis_url)
    ended.refused(1, "'stuck'", "in_flight", "try again")


def test_the_end_of_a_hold_is_no_next_try(redis: Redis, redis_url: str) -> None:
    """Then its message is released or a dead letter."""
    queue = Queue(redis)
    queue.register()
    with Producer(redis_url) as producer:
        producer.send("support", RoomMessage("a", "hello"), hold=Hold("key", 60))
    assert re.search(r"since .* UTC, held until .* UTC, 0", pushlane("blocked", "support", redis_url=redis_url).ok())


def test_a_head_of_a_newer_version_is_shown_as_such(queue: Queue, redis_url: str) -> None:
    """Its attempts are not guessed at, and it is not skipped."""
    queue.overwrite("s0", "version", "3")
    queue.now += WAIT_MS
    assert queue.turn().claims == ()
    (one,) = listed(redis_url, "support")["blocked"]
    assert (one["state"], one["attempts"], one["message_id"]) == ("unreadable", None, "s0")
    assert "layout" in one["why"]
    assert "next look 2023-" in pushlane("blocked", "support", redis_url=redis_url).ok()
    ended = pushlane("blocked", "skip", "support", "stuck", redis_url=redis_url)
    ended.refused(1, "'stuck'", "unreadable", "update the workers")


def test_a_skip_sends_the_head_to_the_dead_letters(queue: Queue, redis_url: str) -> None:
    """Its id is printed, and those behind it move on at once."""
    out = pushlane("blocked", "skip", "support", "stuck", redis_url=redis_url).ok()
    assert out.startswith("message s0 is now a dead letter (exhausted)")
    assert (queue.header("s0").state, queue.header("s0").reason) == ("dead", "exhausted")
    assert DOWN in queue.detail("s0")
    assert queue.places("stuck") == ["ready"]
    again = pushlane("blocked", "skip", "support", "stuck", redis_url=redis_url)
    again.refused(1, "'stuck'", "not_blocked", "pushlane blocked")
    assert queue.header("s1").state == "queued"


@pytest.mark.usefixtures("queue")
def test_a_skip_as_json(redis_url: str) -> None:
    """One document."""
    out = pushlane("blocked", "skip", "support", "stuck", "--json", redis_url=redis_url).ok()
    expected = {"channel": "support", "conversation": "stuck", "result": "skipped", "message_id": "s0"}
    assert json.loads(out) == expected


def test_a_channel_that_is_called_like_a_command_is_reached_by_list(redis: Redis, redis_url: str) -> None:
    """`skip` and `list` are names of channels like any other."""
    for name in ("skip", "list"):
        block(Queue(redis, name), "room", "m")
        (one,) = listed(redis_url, "list", name)["blocked"]
        assert one["channel"] == name


def test_what_is_piped_is_whole(redis: Redis, redis_url: str) -> None:
    """Names and reasons of any length, whatever columns a terminal would have."""
    queue = Queue(redis)
    block(queue, "r" * 256, "0123456789abcdef" * 2, detail="why " * 100)
    lines = pushlane("blocked", "support", redis_url=redis_url).ok().splitlines()
    assert (lines[0], lines[3]) == (f"support  {'r' * 256}", "  " + "why " * 100)


@pytest.mark.parametrize("room", ["r" * 256, "\u623f\u95f4" * 42, "\U0001f600" * 64], ids=["long", "wide", "emoji"])
def test_blocked_conversations_fit_a_terminal_of_80_columns(room: str, redis: Redis, redis_url: str) -> None:
    """The longest names, ids and reasons are cut; nothing of them steers the terminal."""
    queue = Queue(redis, "a_channel_of_thirty_two_lettersx")
    block(queue, room, "0123456789abcdef" * 2, detail="\u5931\u6557 \x1b[2J " * 60)
    queue.overwrite("0123456789abcdef" * 2, "attempts", "9999")
    queue.pause()
    lines = pushlane_in_terminal("blocked", queue.channel, redis_url=redis_url).splitlines()
    assert len(lines) == 5
    assert max(map(cell_len, lines)) <= 80
    assert all(char.isprintable() for char in "".join(lines))
    assert lines[3] == f"  message {'0123456789abcdef' * 2}, 9,999 attempts"
