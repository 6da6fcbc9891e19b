"""A setting or an address that is wrong is one line: exit 2 where nothing was attempted, 1 where it was."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.command import pushlane
from support.ports import free_port
from support.processes import environment, installed
from support.stack import channel_settings

from pushlane_worker.embedded import EmbeddedServer

PROMPT_S = 10.0
"""A command that waits for Redis gives up well within this: its own patience is 2 to 5 s."""
SETTINGS = channel_settings("https://api.example.com")
NO_TOKEN = {name: value for name, value in SETTINGS.items() if not name.endswith("__TOKEN")}
SEND = ("send", "support", "--room", "r", "hello")
REGISTER = ("channel", "register", "support")
STATUS = ("status", "support")


@contextmanager
def frozen() -> Iterator[str]:
    """The address of a server that was stopped with SIGSTOP."""
    with EmbeddedServer() as server:
        server.pause()
        yield server.url


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
