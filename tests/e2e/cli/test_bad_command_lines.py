"""A command line that is wrong is one line that names the word: exit 2 where nothing was attempted, 1 where it was."""

import pytest
from redis import Redis
from support.channels import register
from support.command import pushlane
from support.ports import free_port
from support.stack import channel_settings

from pushlane.keys import AUDIT
from pushlane_worker.embedded import EmbeddedServer

PROMPT_S = 10.0
"""A command that waits for Redis gives up well within this: its own patience is 2 to 5 s."""
SETTINGS = channel_settings("https://api.example.com")


@pytest.mark.parametrize(
    "command",
    [
        ("status", "support", "suport"),
        ("message", "suport", "id"),
        ("cancel", "suport", "id"),
        ("decide", "suport", "key", "allow"),
        ("dead", "list", "suport"),
        ("dead", "show", "suport", "id"),
        ("dead", "replay", "suport", "id"),
        ("dead", "purge", "suport", "id", "--yes"),
        ("blocked", "support", "suport"),
        ("blocked", "skip", "suport", "room"),
        ("channel", "pause", "suport"),
        ("channel", "resume", "suport"),
        ("channel", "remove", "suport"),
    ],
    ids=" ".join,
)
def test_an_unknown_channel_is_refused_by_every_command(command: tuple[str, ...], redis: Redis, redis_url: str) -> None:
    """A typo must not look like a channel in which all is well, nor like a message that is gone."""
    register(redis)
    pushlane(*command, redis_url=redis_url).refused(2, "'suport'", "not registered")


OPERATIONS = [
    ("channel", "pause", "suport"),
    ("channel", "resume", "suport"),
    ("channel", "remove", "suport"),
    ("blocked", "suport"),
    ("blocked", "skip", "suport", "room"),
    ("dead", "replay", "suport", "--all"),
    ("dead", "replay", "suport", "--all", "--dry-run"),
    ("dead", "purge", "suport", "id", "--yes"),
]


@pytest.mark.parametrize("command", OPERATIONS, ids=" ".join)
@pytest.mark.long
def test_an_operation_on_an_unknown_channel_is_refused(command: tuple[str, ...], redis: Redis, redis_url: str) -> None:
    """The line says which one; nothing is written that would make it look like a channel."""
    pushlane(*command, redis_url=redis_url).refused(2, "'suport'", "not registered")
    assert set(redis.keys()) <= {AUDIT.encode()}


@pytest.mark.parametrize("command", OPERATIONS, ids=" ".join)
@pytest.mark.long
def test_an_operation_on_a_redis_that_is_away_fails(command: tuple[str, ...]) -> None:
    """The line names the setting and the address."""
    url = f"redis://127.0.0.1:{free_port()}/0"
    pushlane(*command, redis_url=url, timeout_s=PROMPT_S).refused(1, "PUSHLANE_REDIS_URL", "127.0.0.1")


@pytest.mark.parametrize(
    "command",
    [
        ("message", "support"),
        ("dead", "show", "support"),
        ("dead", "replay", "support"),
        ("blocked", "skip", "support"),
    ],
    ids=" ".join,
)
def test_a_word_that_is_no_text_is_refused(command: tuple[str, ...]) -> None:
    """A byte that is no UTF-8 is an argument's fault, not a traceback."""
    pushlane(*command, "a\udcff", redis_url="redis://127.0.0.1:1/0").refused(2, "UTF-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("send", "support", "hello"), ("--room",)),
        (("send", "support", "--room", "r"), ("TEXT",)),
        (("send", "support", "--file", "-", "--key", "k"), ("--file", "key")),
        (("send", "support", "--file", "/no/such/file"), ("/no/such/file",)),
        (("send", "Support!", "--room", "r", "hello"), ("channel", "lower-case")),
        (("sned",), ("sned",)),
        (("status", "--jsn"), ("--jsn", "--json")),
        (("send", "support", "--file", "-", "--not-before", "90"), ("--file", "times")),
        (("send", "support", "--file", "-", "--expires-in", "90"), ("--file", "times")),
        (("send", "support", "--room", "r", "hello", "--not-before", "tomorrow"), ("--not-before", "RFC 3339", "90")),
        (("send", "support", "--room", "r", "hello", "--not-before", "2026-11-22T14:30:00"), ("--not-before", "zone")),
        (("send", "support", "--room", "r", "hello", "--not-before", "-5"), ("--not-before", "seconds from now")),
        (("send", "support", "--room", "r", "hello", "--not-before", "1e9"), ("--not-before", "RFC 3339")),
        (("send", "support", "--room", "r", "hello", "--not-before", "999999999"), ("not_before", "days ahead")),
        (("send", "support", "--room", "r", "hello", "--expires-in", "0"), ("expires_in", "more than 0")),
        (("send", "support", "--room", "r", "hello", "--expires-in", "nan"), ("expires_in", "finite")),
        (("send", "support", "--room", "r", "hello", "--expires-in", "1h"), ("--expires-in", "float")),
        (("decide", "support", "key", "alow"), ("'VERDICT'", "'allow', 'rewrite'")),
        (("dead", "list", "support", "--limit", "0"), ("--limit",)),
        (("dead", "replay", "support"), ("exactly one", "--conversation", "--reason", "--all")),
        (("dead", "replay", "support", "--all", "id"), ("exactly one",)),
        (("dead", "replay", "support", "--all", "--reason", "expired"), ("exactly one",)),
        (("dead", "purge", "support", "--yes", "id", "--conversation", "c"), ("exactly one",)),
        (("dead", "purge", "support", "--reason", "dead", "--yes"), ("--reason", "rejected")),
        (("dead", "purge", "support", "--all"), ("add --yes",)),
        (("blocked", "--limit", "0"), ("--limit",)),
        (("blocked", "Support!"), ("channel", "lower-case")),
        (("blocked", "skip", "support"), ("CONVERSATION",)),
        (("channel", "pause"), ("NAME",)),
        (("channel", "pause", "Support!"), ("channel", "lower-case")),
        (("fake-api", "--rate-limit", "fast"), ("--rate-limit: must be like 500/60s, or none",)),
        (("fake-api", "--fail", "2"), ("--fail",)),
        (("demo", "--messages", "1"), ("--messages",)),
    ],
    ids=" ".join,
)
@pytest.mark.long
def test_a_wrong_command_line_is_one_line(arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    """It names the argument, without a page of usage around it."""
    pushlane(*arguments, redis_url="redis://127.0.0.1:1/0").refused(2, *words)


def test_a_port_that_is_taken_is_one_line(server: EmbeddedServer) -> None:
    """The stand-in that cannot listen names its address."""
    pushlane("fake-api", "--port", str(server.port)).refused(1, str(server.port), "in use")


def test_a_mistyped_option_of_the_worker_suggests_none_that_deletes_tasks(redis_url: str) -> None:
    """Celery suggests --purge, which throws away what services have asked workers to enqueue; others are fine."""
    for mistyped, suggested in [("--puge", ""), ("--discad", ""), ("--queue", "--queues")]:
        ended = pushlane("worker", mistyped, redis_url=redis_url, settings=SETTINGS)
        ended.refused(2, f"No such option '{mistyped}'")
        assert suggested in ended.err
        assert not [lost for lost in ("--purge", "--discard") if lost in ended.err]


def test_a_wrong_value_of_a_workers_option_is_one_line(redis_url: str) -> None:
    """Without Celery's usage, whose name of the command nobody has typed."""
    pushlane("worker", "-c", "many", redis_url=redis_url, settings=SETTINGS).refused(2, "-c", "many")
