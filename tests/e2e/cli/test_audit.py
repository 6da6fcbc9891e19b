"""``pushlane audit``, and what the commands write there."""

import json
import os
import pwd
import socket
from pathlib import Path

import pytest
from redis import Redis
from support.channels import register
from support.command import pushlane
from support.processes import environment, installed, running
from support.shell import send
from support.waiting import wait_until

WHO = f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"


@pytest.fixture
def support(redis: Redis, redis_url: str) -> str:
    """The address of a queue that knows the channel."""
    register(redis)
    return redis_url


def test_commands_are_written_down_by_user_and_host(support: str) -> None:
    """With the target and the result, oldest first; a limit takes the latest."""
    message_id = send(support, "r")["message_id"]
    pushlane("channel", "pause", "support", redis_url=support).ok()
    pushlane("cancel", "support", message_id, redis_url=support).ok()
    pushlane("decide", "support", "key-1", "forbid", redis_url=support).ok()
    lines = pushlane("audit", redis_url=support).ok().splitlines()
    assert [line[21:] for line in lines] == [
        f"{WHO}  pause  support: paused",
        f"{WHO}  cancel  support  {message_id}: cancelled",
        f"{WHO}  decide  support  key-1: forbid",
    ]
    (line,) = pushlane("audit", "--limit", "1", "--json", redis_url=support).ok().splitlines()
    entry = json.loads(line)
    assert (entry["by"], entry["act"], entry["target"], entry["result"]) == (WHO, "decide", "key-1", "forbid")
    assert pushlane("audit", "--limit", "0", redis_url=support).ok() == ""


def test_what_is_refused_for_a_channel_that_nobody_knows_is_not_written(redis_url: str) -> None:
    """There was nothing to act on."""
    pushlane("cancel", "suport", "0" * 32, redis_url=redis_url).refused(2, "'suport'", "not registered")
    pushlane("decide", "suport", "key-1", "allow", redis_url=redis_url).refused(2, "'suport'", "not registered")
    assert pushlane("audit", redis_url=redis_url).ok() == ""


def test_following_shows_new_entries_as_they_come(support: str, tmp_path: Path) -> None:
    """An act as it begins, and what came of it."""
    log = tmp_path / "audit.log"
    words = [installed("pushlane"), "audit", "--follow", "--limit", "0"]
    with running(words, env=environment(PUSHLANE_REDIS_URL=support), cwd=tmp_path, log=log):

        def shown() -> bool:
            pushlane("channel", "pause", "support", redis_url=support).ok()
            text = log.read_text()
            return "pause  support: begins" in text and "pause  support: was already paused" in text

        wait_until(shown, "the entries")
