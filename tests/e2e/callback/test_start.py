"""The start of `pushlane callback`: what is wrong is one line and exit 2, or 1 once it was attempted."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from support.callback import NOBODY, TOKEN, c2c, callback, moderation
from support.command import pushlane
from support.own_policies import MODULE, python_path
from support.processes import environment
from support.stack import channel_settings
from support.webhook import webhook

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


pytestmark = pytest.mark.long


def started_with(folder: Path, **settings: object) -> Mapping[str, str]:
    """The environment with these settings of MODERATION."""
    return {"PUSHLANE_REDIS_URL": NOBODY, **moderation(folder, **settings)}


WRONG: list[tuple[dict[str, str], tuple[str, ...]]] = [
    ({"sdk_app_ids": ""}, ("PUSHLANE_MODERATION__SDK_APP_IDS", "is missing")),
    ({"tokns": "x"}, ("PUSHLANE_MODERATION__TOKNS", "did you mean PUSHLANE_MODERATION__TOKENS?")),
    ({"tokens_file": "/dev/null"}, ("PUSHLANE_MODERATION__TOKENS", "TOKENS_FILE")),
    ({"tokens": "", "tokens_file": "/nowhere"}, ("PUSHLANE_MODERATION__TOKENS_FILE", "/nowhere", "No such file")),
    ({"tokens": "", "tokens_file": "/dev/null"}, ("PUSHLANE_MODERATION__TOKENS_FILE", "one or two secrets")),
    ({"tokens": "", "unsigned": "true"}, ("PUSHLANE_MODERATION__UNSIGNED", "SOURCE_NETWORKS")),
    ({"source_networks": "10.0.0.1/8"}, ("PUSHLANE_MODERATION__SOURCE_NETWORKS", "192.0.2.0/24")),
    ({"deadline_s": "2"}, ("PUSHLANE_MODERATION__DEADLINE_S", "1.8")),
    ({"relay_room": "{To_Account}"}, ("PUSHLANE_MODERATION__RELAY_ROOM", "RELAY_CHANNEL")),
    ({"relay_channel": "support", "relay_room": "{To}"}, ("PUSHLANE_MODERATION__RELAY_ROOM", "To_Account")),
    ({"blocked_words_file": "/nowhere"}, ("PUSHLANE_MODERATION__BLOCKED_WORDS_FILE", "/nowhere", "No such file")),
    ({"blocked_words_file": "/dev/null"}, ("PUSHLANE_MODERATION__BLOCKED_WORDS_FILE", "contains no word")),
    ({"policies": "length,nosuch:Policy"}, ("PUSHLANE_MODERATION__POLICIES", "No module named 'nosuch'")),
    ({"policies": '["theirs:Nameless"]'}, ("PUSHLANE_MODERATION__POLICIES", "theirs:Nameless", "a method judge")),
    ({"policies": '[{"policy": "length", "code": 1}]'}, ("PUSHLANE_MODERATION__POLICIES", "120001 to 130000", "10100")),
    ({"routing": "theirs:nothing"}, ("PUSHLANE_MODERATION__ROUTING", "theirs:nothing")),
    ({"routing": "json:dumps", "relay_room": "r", "relay_channel": "c"}, ("RELAY_ROOM and ROUTING",)),
    ({"spool_dir": "/dev/null/spool"}, ("PUSHLANE_MODERATION__SPOOL_DIR", "/dev/null/spool", "Not a directory")),
    ({"spool_dir": "/proc/spool"}, ("PUSHLANE_MODERATION__SPOOL_DIR", "/proc/spool")),
]


@pytest.mark.parametrize(("settings", "words"), WRONG, ids=lambda value: "" if isinstance(value, tuple) else str(value))
def test_a_wrong_setting_is_one_line_and_exit_2(
    settings: dict[str, str], words: tuple[str, ...], tmp_path: Path
) -> None:
    """Before anything listens, with as many processes as there may be, and without a traceback."""
    (tmp_path / "theirs.py").write_text(MODULE)
    variables = {**started_with(tmp_path, **settings), "PYTHONPATH": python_path(tmp_path)}
    pushlane("callback", "--port", "0", "--workers", "2", settings=variables).refused(2, *words)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, ("PUSHLANE_REDIS_URL", "is missing")),
        ({"PUSHLANE_REDIS_URL": NOBODY}, ("PUSHLANE_MODERATION__SDK_APP_IDS", "nothing to serve")),
        ({"PUSHLANE_REDIS_URL": "redis://localhost:port/0"}, ("PUSHLANE_REDIS_URL", "redis://localhost:6379/0")),
        ({"PUSHLANE_REDIS_ULR": NOBODY}, ("PUSHLANE_REDIS_ULR", "did you mean PUSHLANE_REDIS_URL?")),
        (
            {"PUSHLANE_REDIS_URL": NOBODY, "PUSHLANE_API_KEYS__A__CHANNELS": "support"},
            ("PUSHLANE_API_KEYS__A__KEY", "KEY_FILE"),
        ),
    ],
)
def test_what_is_missing_is_one_line_and_exit_2(variables: dict[str, str], words: tuple[str, ...]) -> None:
    """The address, and something to serve."""
    keys = {"PUSHLANE_API_KEYS__A__KEY": "k", "PUSHLANE_API_KEYS__A__CHANNELS": "support"}
    needs_keys = "port" in variables.get("PUSHLANE_REDIS_URL", "").rpartition(":")[2]
    pushlane("callback", settings={**(keys if needs_keys else {}), **variables}).refused(2, *words)


def test_without_a_token_it_starts_on_loopback_alone(tmp_path: Path) -> None:
    """A forgotten token is no open door."""
    settings = started_with(tmp_path, tokens="")
    ended = pushlane("callback", "--host", "0.0.0.0", "--port", "0", settings=settings)
    ended.refused(2, "PUSHLANE_MODERATION__TOKENS", "0.0.0.0", "UNSIGNED", "SOURCE_NETWORKS")


@pytest.mark.parametrize("tokens", ["", TOKEN])
def test_without_a_token_one_line_warns_of_it(tmp_path: Path, redis_url: str, tokens: str) -> None:
    """It takes unsigned questions, as somebody who has just set it up may not expect; the line names the setting."""
    with callback(tmp_path, redis_url, moderation(tmp_path, tokens=tokens), workers=2) as running:
        lines = [line for line in running.log.read_text().splitlines() if "callback.unsigned" in line]
    assert len(lines) == (0 if tokens else 1)
    assert not lines or ("warning" in lines[0] and "PUSHLANE_MODERATION__TOKENS" in lines[0])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_one_line_and_exit_1(tmp_path: Path, workers: str) -> None:
    """The line names it; nothing is left on disk."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = pushlane("callback", "--port", port, "--workers", workers, settings=started_with(tmp_path))
    ended.refused(1, "127.0.0.1", port, "Address already in use")
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_host_that_is_none_is_one_line_and_exit_1(tmp_path: Path) -> None:
    """An address of another machine's."""
    settings = started_with(tmp_path)
    pushlane("callback", "--host", "192.0.2.1", "--port", "0", settings=settings).refused(1, "192.0.2.1", "assign")


@pytest.mark.parametrize("arguments", [("--port", "65536"), ("--port", "x"), ("--workers", "0"), ("--wat",)])
def test_a_wrong_command_line_is_exit_2(arguments: tuple[str, ...]) -> None:
    """The option is named."""
    pushlane("callback", *arguments).refused(2, arguments[0])


@pytest.mark.parametrize("absent", ["starlette", "uvicorn", "ahocorasick_rs", "pydantic_settings"])
def test_a_missing_extra_is_one_line_and_exit_2(absent: str, tmp_path: Path) -> None:
    """It says what to install."""
    script = f"import sys; sys.modules['{absent}'] = None; sys.argv[1:] = ['callback']\n"
    script += "from pushlane_worker.cli import main; main()"
    env = environment(**started_with(tmp_path))
    words = [sys.executable, "-c", script]
    ended = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    expected = f"pushlane: {absent} is not installed: run `pip install 'pushlane[callback]'`\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", expected)


def test_one_environment_serves_worker_and_callback(tmp_path: Path, redis_url: str) -> None:
    """Channels, and sections that are still to come, stand beside moderation."""
    beside = {**channel_settings("https://api.example.com"), **webhook()}
    with callback(tmp_path, redis_url, {**moderation(tmp_path), **beside}) as running, httpx.Client() as client:
        assert running.ask(client, c2c(1))["ErrorCode"] == 0
