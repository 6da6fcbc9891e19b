"""The documented access rules: each program works with exactly its own."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from support.access_rules import access_rules
from support.channels import register
from support.command import pushlane
from support.stack import FakeApi, Stack, channel_settings
from support.tour import LATE, Addresses, Tour
from support.waiting import wait_until

from pushlane_worker.embedded import EmbeddedServer

PASSWORD = "s3cr3t-pass"
NO_ZADD = "no permissions to run the 'zadd' command|user executing the script can't run this command"
NO_KEY = "[Nn]o permissions to access .* ?key"
"""Valkey's and Redis's words."""


@pytest.fixture
def ruled() -> Iterator[EmbeddedServer]:
    """A server with a user for each rule, and the channel."""
    with EmbeddedServer() as server, Redis.from_url(server.url) as admin:
        known = admin.acl_cat("connection")
        for program, rule in access_rules().items():
            words = [
                word for word in rule if word != "+client|setinfo" or word[1:] in known
            ]  # as the page says of Redis 7.0
            _allow(admin, program, "on", f">{PASSWORD}", *words)
        register(admin)
        yield server


def _allow(admin: Redis, program: str, *words: str) -> None:
    admin.execute_command("ACL", "SETUSER", program, *words)  # type: ignore[no-untyped-call] # redis-py gives it no types


def _url(server: EmbeddedServer, program: str) -> str:
    return f"redis://{program}:{PASSWORD}@127.0.0.1:{server.port}/0"


@pytest.mark.long
def test_each_program_works_with_its_own_rule_alone(ruled: EmbeddedServer, api: FakeApi, tmp_path: Path) -> None:
    """Along its main paths it asks for nothing that the rule refuses."""
    addresses = Addresses(**{program: _url(ruled, program) for program in access_rules()})
    with Redis.from_url(ruled.url) as admin:
        # As the page says: a channel's own QUEUE is added, and a producer's channels may be named.
        _allow(admin, "broker", f"~{LATE}", f"~{LATE}??[369]")
        _allow(admin, "producer", "resetkeys", "~pushlane:1:{support}:*", "~pushlane:1:bell")
        try:
            Tour(addresses, api, tmp_path).go()
        finally:
            refused = {
                f"{entry['username']}: {entry['object']} ({entry['context']}), {entry['count']} times"
                for entry in admin.acl_log()
            }
            assert not refused


@pytest.mark.parametrize(
    ("program", "less", "words", "told"),
    [
        ("producer", "-hmget", "send support --room r hello", "no permissions to run the 'hmget' command"),
        ("producer", "-zadd", "send support --room r hello", NO_ZADD),
        ("producer", "resetkeys", "send support --room r hello", NO_KEY),
        ("operator", "-smembers", "status", "no permissions to run the 'smembers' command"),
        ("operator", "-zscore", "dead show support m", "no permissions to run the 'zscore' command"),
    ],
)
def test_what_a_stricter_rule_refuses_is_one_line(
    ruled: EmbeddedServer, program: str, less: str, words: str, told: str
) -> None:
    """With the command that is missing, or that it is a key."""
    with Redis.from_url(ruled.url) as admin:
        _allow(admin, program, less)
    ended = pushlane(*words.split(), redis_url=_url(ruled, program))
    ended.refused(1, "PUSHLANE_REDIS_URL: ")
    assert re.search(f"^[^#]*{told}", ended.err), "nothing of redis-py's: which command of a pipeline it was"


def test_check_asks_the_broker_what_its_rule_allows(ruled: EmbeddedServer) -> None:
    """An earlier release's rule did not allow it, which is a warning."""
    settings = {"PUSHLANE_BROKER_URL": _url(ruled, "broker")}
    lines = pushlane("check", redis_url=_url(ruled, "operator"), settings=settings).ok().splitlines()
    assert [line[:17] for line in lines if "broker" in line] == ["ok       broker: "]
    with Redis.from_url(ruled.url) as admin:
        _allow(admin, "broker", "-info")
    lines = pushlane("check", redis_url=_url(ruled, "operator"), settings=settings).ok().splitlines()
    assert [line for line in lines if line.startswith("warning  broker: cannot check its settings: ")]


@pytest.mark.long
@pytest.mark.parametrize(
    ("program", "less", "told"),
    [
        ("worker", "-zadd", NO_ZADD),
        ("broker", "-brpop", "no permissions to run the 'brpop' command"),
        ("broker", "resetkeys", NO_KEY),
    ],
)
def test_a_worker_says_once_what_a_stricter_rule_refuses(
    ruled: EmbeddedServer, api: FakeApi, tmp_path: Path, program: str, less: str, told: str
) -> None:
    """However often it tries, and without a traceback."""
    settings = {**channel_settings(api.url), "PUSHLANE_BROKER_URL": _url(ruled, "broker")}
    stack = Stack(_url(ruled, "worker"), api, tmp_path, settings)
    try:
        with Redis.from_url(ruled.url) as admin:
            _allow(admin, program, less)
            worker = stack.worker("-c", "1")
            wait_until(lambda: sum(entry["count"] for entry in admin.acl_log()) > 10, "more tries")
        log = worker.log.read_text()
    finally:
        stack.close()
    assert len(re.findall(told, log)) == 1, log
    assert "Traceback" not in log
    assert "Warning: \nIn Celery" not in log
