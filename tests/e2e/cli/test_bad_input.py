"""Whatever is wrong is one line that names it: exit 2 where nothing was attempted, 1 where it was."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from support.channels import register
from support.command import pushlane
from support.ports import free_port
from support.processes import environment, installed
from support.stack import channel_settings

from pushlane.keys import AUDIT, channel_prefix
from pushlane_worker.embedded import EmbeddedServer

PROMPT_S = 10.0
"""A command that waits for Redis gives up well within this: its own patience is 2 to 5 s."""
SETTINGS = channel_settings("https://api.example.com")
NO_TOKEN = {name: value for name, value in SETTINGS.items() if not name.endswith("__TOKEN")}
SEND = ("send", "support", "--room", "r", "hello")
REGISTER = ("channel", "register", "support")
STATUS = ("status", "support")


def accepted(redis: Redis) -> int:
    """How many messages the channel has ever accepted."""
    return int(redis.hget(f"{channel_prefix('support')}counters", "accepted") or 0)


@contextmanager
def frozen() -> Iterator[str]:
    """The address of a server that was stopped with SIGSTOP."""
    with EmbeddedServer() as server:
        server.pause()
        yield server.url


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


def test_a_message_of_the_wrong_kind_is_refused(redis: Redis, redis_url: str) -> None:
    """The line names what the message is and what the channel takes."""
    register(redis)
    wrong = json.dumps({"user_id": "u", "message": {"a": 1}}).encode()
    ended = pushlane("send", "support", "--file", "-", stdin=wrong, redis_url=redis_url)
    ended.refused(2, "line 1", "ThirdPartyMessage", "'cinnox'")
    assert accepted(redis) == 0


@pytest.mark.parametrize("command", [("worker",), ("check",), ("status",)], ids=" ".join)
def test_a_missing_token_stops_every_command_that_needs_the_channel(command: tuple[str, ...]) -> None:
    """The line names the channel and the two settings of which one would be right."""
    ended = pushlane(*command, redis_url="redis://127.0.0.1:1/0", settings=NO_TOKEN)
    ended.refused(2, "PUSHLANE_CHANNELS__SUPPORT", "TOKEN", "TOKEN_FILE")


@pytest.mark.parametrize("command", [SEND, ("worker",), ("demo",)], ids=" ".join)
def test_a_misspelt_variable_stops_every_command(command: tuple[str, ...]) -> None:
    """PUSHLANE_REDIS_ULR is named together with what was meant."""
    pushlane(*command, settings={"PUSHLANE_REDIS_ULR": "redis://127.0.0.1:1/0"}).refused(
        2, "PUSHLANE_REDIS_ULR", "PUSHLANE_REDIS_URL?"
    )


@pytest.mark.parametrize("command", [SEND, STATUS, REGISTER, ("worker",)], ids=" ".join)
def test_a_missing_address_stops_every_command_that_needs_it(command: tuple[str, ...]) -> None:
    """No command guesses where the queue is."""
    pushlane(*command, settings=SETTINGS).refused(2, "PUSHLANE_REDIS_URL", "is missing", "redis://")


UNESCAPED = "redis://:p@ss/w#rd@127.0.0.1:1/0"


@pytest.mark.parametrize("command", [SEND, STATUS, REGISTER, ("worker",), ("check",)], ids=" ".join)
def test_an_invalid_address_is_refused(command: tuple[str, ...]) -> None:
    """The line shows what an address looks like, and no part of the password."""
    ended = pushlane(*command, redis_url=UNESCAPED, settings=SETTINGS)
    ended.refused(2, "PUSHLANE_REDIS_URL", "redis://localhost:6379/0", "percent-encoded")
    assert not [part for part in ("p@ss", "ss/", "w#rd") if part in ended.err]


@pytest.mark.parametrize("command", [("worker",), ("check",)], ids=" ".join)
def test_an_invalid_address_of_the_broker_is_refused(command: tuple[str, ...]) -> None:
    """The line names the setting."""
    settings = {**SETTINGS, "PUSHLANE_BROKER_URL": "redis://127.0.0.1/zero"}
    ended = pushlane(*command, redis_url="redis://127.0.0.1:1/0", settings=settings)
    ended.refused(2, "PUSHLANE_BROKER_URL", "database must be a number")


@pytest.mark.parametrize("command", ["worker", "flower", "status"])
def test_celerys_own_programs_refuse_an_invalid_address(command: str, tmp_path: Path) -> None:
    """In one line, where Celery would print a traceback around it."""
    words = [installed("celery"), "-A", "pushlane_worker", command]
    env = environment(PUSHLANE_REDIS_URL=UNESCAPED, **SETTINGS)
    ended = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("pushlane: PUSHLANE_REDIS_URL: must be an address like redis://localhost:6379/0: ")
    assert ended.stderr.count("\n") == 1
    assert "w#rd" not in ended.stderr


def test_celerys_own_programs_refuse_a_password_that_cannot_be_read(tmp_path: Path) -> None:
    """As Flower's container would, in one line."""
    words = [installed("celery"), "-A", "pushlane_worker", "flower"]
    env = environment(PUSHLANE_REDIS_URL="redis://127.0.0.1:1/0", PUSHLANE_REDIS_PASSWORD_FILE="/nowhere")
    ended = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False)
    line = "pushlane: PUSHLANE_REDIS_PASSWORD_FILE: /nowhere cannot be read: No such file or directory\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", line)


@pytest.mark.parametrize(
    "command", [SEND, STATUS, REGISTER, ("message", "support", "id"), ("dead", "list", "support")], ids=" ".join
)
def test_an_address_that_nobody_answers_fails_at_once(command: tuple[str, ...]) -> None:
    """The line names the setting and the address."""
    url = f"redis://127.0.0.1:{free_port()}/0"
    ended = pushlane(*command, redis_url=url, timeout_s=PROMPT_S, settings=SETTINGS)
    ended.refused(1, "PUSHLANE_REDIS_URL", "127.0.0.1")


@pytest.mark.parametrize("command", [SEND, STATUS, REGISTER], ids=" ".join)
@pytest.mark.long
def test_a_redis_that_hangs_fails_within_the_timeout(command: tuple[str, ...]) -> None:
    """A Redis stopped with SIGSTOP holds up no command for long."""
    with frozen() as url:
        ended = pushlane(*command, redis_url=url, timeout_s=PROMPT_S, settings=SETTINGS)
    ended.refused(1, "PUSHLANE_REDIS_URL", "imeout")


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
