"""What `pushlane status` and `pushlane channel pause` show and do when nothing is wrong."""

import re
from datetime import UTC, datetime

from redis import Redis
from rich.cells import cell_len
from support.channels import claim, push, register
from support.command import pushlane, pushlane_in_terminal
from support.queue import Queue, settle
from support.shell import send, show
from support.stack import channel_settings, fake_api

from pushlane.keys import CONSUMERS, DECISIONS_PREFIX, POSTPONED, UNFED, channel_prefix
from pushlane.outcome import Outcome


def test_status_counts_what_is_where(support: str) -> None:
    """Depth, conversations, pushes by outcome, dead letters and pushes of unknown outcome with their messages."""
    send(support, "delivered")
    push(support)
    lost = send(support, "unknown")["message_id"]
    push(support, Outcome.UNKNOWN, dead="1", reason="u")
    send(support, "leased")
    claim(support)
    send(support, "ready")
    (channel,) = show(support, "status", "support")["channels"]
    assert (channel["registered"], channel["kind"], channel["max_queued"]) == (True, "cinnox", 1_000_000)
    assert (channel["depth"], channel["ready"], channel["delayed"], channel["leased"]) == (2, 1, 0, 1)
    assert (channel["accepted"], channel["delivered"], channel["dead_letters"]) == (4, 1, 1)
    assert {name: count for name, count in channel["pushes"].items() if count} == {"delivered": 1, "unknown": 1}
    assert channel["unknown_pushes"] == 1
    assert channel["last_unknown"][0]["message_ids"] == [lost]
    assert channel["rate"] == {"used": 3, "limit": 500, "window_s": 60}
    assert channel["gate"]["state"] == "open"


def test_status_tells_of_decisions_that_are_not_done(redis: Redis, support: str) -> None:
    """Both those that nobody has tried and those that wait for a channel; nothing of it when there are none."""
    assert show(support, "status")["unfed_decisions"] == 0
    assert "moderation" not in pushlane("status", redis_url=support).ok()
    redis.zadd(UNFED, {"a": 1})
    redis.zadd(POSTPONED, {"relay/later": 1})
    redis.zadd(f"{DECISIONS_PREFIX}lane:relay/later", {"b": 1, "c": 1})
    assert show(support, "status", "support")["unfed_decisions"] == 3
    out = pushlane("status", redis_url=support).ok()
    assert out.endswith("\nmoderation: 3 decisions are not carried out yet\n")


def test_status_and_check_tell_of_a_queue_that_nobody_consumes(redis: Redis, support: str) -> None:
    """A warning of `check` before messages wait for it, a failure after."""
    redis.zadd(CONSUMERS, {"other": 1})
    redis.expire(CONSUMERS, 60)
    missing = "no worker consumes its queue pushlane"
    with fake_api() as api:
        settings = channel_settings(api.url)
        assert f"warning  channel support: {missing}\n" in pushlane("check", redis_url=support, settings=settings).ok()
        send(support, "r")
        assert missing in pushlane("status", redis_url=support).ok()
        ended = pushlane("check", redis_url=support, settings=settings)
        assert ended.code == 1
        assert f"failed   channel support: {missing}, for which 1 message waits\n" in ended.out
        redis.zadd(CONSUMERS, {"pushlane": 1, "pushlane.enqueue": 1})
        assert missing not in pushlane("status", redis_url=support).ok()
        assert "no worker consumes" not in pushlane("check", redis_url=support, settings=settings).ok()
    assert show(support, "status", "support")["channels"][0]["consumed"] is True


def test_status_shows_a_closed_gate_with_its_reason(support: str) -> None:
    """Whoever wonders why nothing moves sees it here."""
    send(support, "r")
    push(support, Outcome.MISCONFIGURED)
    (channel,) = show(support, "status", "support")["channels"]
    assert (channel["gate"]["state"], channel["gate"]["reason"]) == ("broken", "misconfigured: said so")
    assert channel["gate"]["until"].endswith("Z")
    out = pushlane("status", "support", redis_url=support).ok()
    assert "support: gate broken until " in out
    assert "(misconfigured: said so)" in out


LONG_NAME = "a_channel_of_thirty_two_lettersx"


def crowded(redis: Redis) -> None:
    """A channel with the longest name and millions of everything, and one with a short name."""
    register(redis, "sales")
    register(redis, LONG_NAME)
    redis.hset(
        f"{channel_prefix(LONG_NAME)}counters",
        mapping={"depth": 987_654, "delivered": 999_999_999, "pushes_unknown": 10**6},
    )


def test_the_status_table_fits_a_terminal_of_80_columns(redis: Redis, redis_url: str) -> None:
    """A name that does not fit in front of its numbers stands above them, whole."""
    crowded(redis)
    head, name, numbers, other, *_ = pushlane_in_terminal(
        "status", LONG_NAME, "sales", redis_url=redis_url
    ).splitlines()
    assert max(map(cell_len, (head, name, numbers, other))) <= 80
    assert name == LONG_NAME
    assert numbers.split() == ["987654", "0", "0", "0", "0", "0", "999999k", "0", "1000k"]
    assert other.split() == ["sales", *"000000000"]
    ends = [[match.end() for match in re.finditer(r"\S+", line)][-9:] for line in (head, numbers, other)]
    assert ends[0] == ends[1] == ends[2]
    wide = pushlane_in_terminal("status", LONG_NAME, redis_url=redis_url, columns=120).splitlines()
    assert wide[1].split()[0] == LONG_NAME


def test_a_status_that_is_piped_is_whole(redis: Redis, redis_url: str) -> None:
    """One line a channel, and every number in full."""
    crowded(redis)
    _, row, *_ = pushlane("status", LONG_NAME, redis_url=redis_url).ok().splitlines()
    assert row.split() == [LONG_NAME, "987654", "0", "0", "0", "0", "0", "999999999", "0", "1000000"]
    (channel,) = show(redis_url, "status", LONG_NAME)["channels"]
    assert (channel["delivered"], channel["unknown_pushes"]) == (999_999_999, 1_000_000)


def test_status_without_a_name_shows_the_channels_of_the_settings(support: str) -> None:
    """One that no worker has registered yet is shown as such."""
    settings = channel_settings("https://api.example.com") | channel_settings("https://api.example.com", "other")
    channels = show(support, "status", settings=settings)["channels"]
    assert {one["channel"]: one["registered"] for one in channels} == {"support": True, "other": False}


def test_status_counts_scheduled_messages_and_blocked_conversations(redis: Redis, redis_url: str) -> None:
    """Both in the table and as JSON."""
    queue = Queue(redis)
    queue.enqueue("later", "l1", "l2", "l3", due="+9000")
    queue.enqueue("stuck", "s1")
    (taken,) = queue.turn().claims
    queue.turn(settle(taken, Outcome.FAILED, wait_ms=60_000, dead="0"))
    (channel,) = show(redis_url, "status", "support")["channels"]
    assert (channel["depth"], channel["scheduled"], channel["delayed"], channel["blocked"]) == (4, 3, 1, 1)
    head, row, _ = pushlane("status", "support", redis_url=redis_url).ok().splitlines()
    shown = dict(zip(head.split(), row.split(), strict=True))
    assert (shown["scheduled"], shown["blocked"]) == ("3", "1")


def test_a_channel_is_paused_and_resumed(redis: Redis, support: str) -> None:
    """No push begins in between; a command that changes nothing says so, and is no error."""
    send(support, "r")
    for command, said in (
        ("pause", "support: paused\n"),
        ("pause", "support: was already paused\n"),
        ("resume", "support: resumed\n"),
        ("resume", "support: was not paused\n"),
    ):
        assert pushlane("channel", command, "support", redis_url=support).ok() == said
        assert bool(redis.hexists(f"{channel_prefix('support')}gate", "paused")) == (command == "pause")
    pushlane("channel", "pause", "support", redis_url=support).ok()
    assert claim(support) == []
    pushlane("channel", "resume", "support", redis_url=support).ok()
    assert len(claim(support)) == 1


def test_status_shows_a_pause_and_what_is_below_it(support: str) -> None:
    """Since when, and what the gate would say without it."""
    send(support, "r")
    push(support, Outcome.MISCONFIGURED)
    before = datetime.now(UTC).replace(microsecond=0)
    pushlane("channel", "pause", "support", redis_url=support).ok()
    gate = show(support, "status", "support")["channels"][0]["gate"]
    assert gate["state"] == "broken"
    assert before <= datetime.fromisoformat(gate["paused_since"]) <= datetime.now(UTC)
    out = pushlane("status", "support", redis_url=support).ok()
    assert "support: gate paused since " in out
    assert " UTC (otherwise broken until " in out
    pushlane("channel", "resume", "support", redis_url=support).ok()
    assert show(support, "status", "support")["channels"][0]["gate"]["paused_since"] is None
