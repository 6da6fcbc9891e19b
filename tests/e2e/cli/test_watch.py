"""`pushlane status --watch` in a terminal."""

import json
import subprocess

from redis import Redis
from support.channels import push, register
from support.command import pushlane
from support.processes import environment, installed
from support.shell import send
from support.terminal import Terminal
from support.waiting import wait_until

from pushlane.keys import CONSUMERS
from pushlane_worker.embedded import EmbeddedServer


def row(terminal: Terminal, channel: str) -> list[str]:
    """The words of the channel's row; none while it is not shown."""
    return next((line.split() for line in terminal.shown() if line.split()[0] == channel), [])


def consumed(redis: Redis) -> None:
    """As if a worker consumed the queue of the channels."""
    redis.zadd(CONSUMERS, {"pushlane": 1})
    redis.expire(CONSUMERS, 600)


def test_the_table_follows_the_queue_and_stays_after_ctrl_c(redis: Redis, support: str) -> None:
    """Depth rises and falls, deliveries appear as a rate and a bar; Ctrl-C leaves the last state on the screen."""
    consumed(redis)
    with Terminal("status", "--watch", PUSHLANE_REDIS_URL=support) as terminal:
        wait_until(lambda: row(terminal, "support")[1:2] == ["0"], "the empty channel")
        for room in ("a", "b", "c"):
            send(support, room)
        wait_until(lambda: row(terminal, "support")[1:2] == ["3"], "three messages")
        push(support)
        wait_until(lambda: row(terminal, "support")[1:2] == ["0"], "the depth to fall")
        wait_until(lambda: "█" in row(terminal, "support")[-1], "the bar of the deliveries")
        assert "open" in row(terminal, "support")
        code, left = terminal.interrupt()
    assert code == 130
    assert "1 channel" in left[0]
    assert left[1].split()[:2] == ["channel", "depth"]
    assert left[2].split()[:2] == ["support", "0"]
    assert max(map(len, left)) <= 80


def test_the_size_of_the_terminal_is_followed(redis: Redis, redis_url: str) -> None:
    """Only what fits is shown, and how many channels are not."""
    for number in range(30):
        register(redis, f"channel_{number:02}")
    with Terminal("status", "--watch", columns=80, lines=12, PUSHLANE_REDIS_URL=redis_url) as terminal:
        wait_until(lambda: "22 more channels are not shown" in terminal.shown(), "what fits in 12 lines")
        assert "last hour" in terminal.shown()[1]
        terminal.resize(40, 40)
        wait_until(lambda: row(terminal, "channel_29"), "all channels in 40 lines")
        assert "last hour" not in terminal.shown()[1]
        assert max(map(len, terminal.shown())) <= 40
        code, left = terminal.terminate()
    assert code == 143
    assert len(left) == 32


def test_redis_goes_and_comes_back() -> None:
    """The last state stays, under a line that says since when Redis is away; it goes on by itself."""
    with EmbeddedServer() as server:
        with Redis.from_url(server.url) as redis:
            register(redis)
        with Terminal("status", "--watch", NO_COLOR="1", PUSHLANE_REDIS_URL=server.url) as terminal:
            wait_until(lambda: row(terminal, "support"), "the channel")
            server.stop()
            wait_until(lambda: "Redis is away since" in "".join(terminal.shown()), "the line")
            assert row(terminal, "support")
            server.start()
            wait_until(lambda: "Redis is away since" not in "".join(terminal.shown()), "Redis to be back")
            assert "\x1b[31m" not in terminal.raw
            assert "\x1b[1;31m" not in terminal.raw


def test_without_a_terminal_only_json_is_watched(support: str) -> None:
    """A table in a file would be of no use; a program reads a document from each line."""
    pushlane("status", "--watch", redis_url=support).refused(2, "terminal", "--watch --json")
    words = [installed("pushlane"), "status", "--watch", "--json"]
    with subprocess.Popen(words, env=environment(PUSHLANE_REDIS_URL=support), stdout=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        first, second = (json.loads(watching.stdout.readline()) for _ in range(2))
        watching.kill()
    assert first["at"] < second["at"]
    assert [channel["channel"] for channel in second["channels"]] == ["support"]


def test_a_channel_that_is_not_there_is_refused(support: str) -> None:
    """As without --watch."""
    pushlane("status", "nosuch", "--watch", redis_url=support).refused(2, "nosuch")
