"""What TAB offers in a shell."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis
from support.channels import register
from support.completion import offered, typed
from support.ports import free_port
from support.processes import environment, installed
from support.waiting import assert_takes

from pushlane.keys import CHANNELS
from pushlane_worker.cli.commands import COMMANDS


def test_commands_and_options_are_completed() -> None:
    """Commands, their commands, options and their choices."""
    assert offered("") == list(COMMANDS)
    assert offered("st") == ["status"]
    assert offered("--v") == ["--version"]
    assert {"list", "show", "replay", "purge"} == set(offered("dead", ""))
    assert "--json" in offered("status", "--")
    assert offered("decide", "support", "key", "for") == ["forbid"]


def test_channels_are_completed(redis: Redis, support: str) -> None:
    """Those that are registered, wherever a command takes one."""
    register(redis, "sales")
    address = {"PUSHLANE_REDIS_URL": support}
    for words in (
        ["send"],
        ["status"],
        ["status", "sales"],
        ["dead", "list"],
        ["channel", "pause"],
        ["blocked", "skip"],
    ):
        assert offered(*words, "s", **address)[-2:] == ["sales", "support"], words
    assert offered("cancel", "su", **address) == ["support"]
    assert set(offered("blocked", "s", **address)) == {"skip", "sales", "support"}
    assert offered("blocked", "support", "sa", **address) == ["sales"]


@pytest.mark.parametrize("address", ["", "redis://127.0.0.1:{closed}/0", "no address"])
def test_channels_are_none_where_no_queue_is(address: str) -> None:
    """Not a word about it, in the middle of what somebody types."""
    assert offered("status", "s", PUSHLANE_REDIS_URL=address.format(closed=free_port())) == []


def test_channels_do_not_wait_for_a_queue_that_is_silent() -> None:
    """A server that takes the connection and says nothing costs less than a second more."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        assert_takes(4, lambda: offered("status", "s", PUSHLANE_REDIS_URL=url))


def test_a_mistyped_command_offers_nothing() -> None:
    """And says nothing: a message would be in the middle of what somebody types."""
    assert offered("nosuch", "") == list(COMMANDS)
    assert offered("nosuch", "--j") == []


def test_a_missing_extra_offers_nothing() -> None:
    """Where the library alone is installed, or not what the command needs."""
    script = "import sys; sys.modules['click'] = None; from pushlane_worker.cli import main; main()"
    env = environment(_PUSHLANE_COMPLETE="bash_complete", COMP_WORDS="pushlane st", COMP_CWORD="1")
    ended = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, check=False)
    assert (ended.stdout, ended.stderr) == (b"", b"")


def test_a_command_is_completed_without_the_library() -> None:
    """A TAB after `pushlane` imports click alone: neither Redis's client nor any command."""
    env = environment(_PUSHLANE_COMPLETE="bash_complete", COMP_WORDS="pushlane st", COMP_CWORD="1")
    words = [sys.executable, "-X", "importtime", "-m", "pushlane_worker.cli"]
    ended = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    assert ended.stdout == "plain,status\n"
    loaded = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines() if "|" in line}
    assert "click" in loaded
    assert not [name for name in loaded if name.partition(".")[0] in {"pushlane", "redis", "pydantic", "rich"}]
    assert "pushlane_worker.cli.status" not in loaded


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str) -> None:
    """Which asks us in its own way."""
    env = environment(_PUSHLANE_COMPLETE=f"{shell}_source")
    script = subprocess.run([installed("pushlane")], env=env, capture_output=True, text=True, check=True).stdout
    assert f"_PUSHLANE_COMPLETE={shell}_complete" in script


@pytest.mark.parametrize(("shell", "at"), [("zsh", "1"), ("fish", "st")])
def test_zsh_and_fish_are_answered(shell: str, at: str) -> None:
    """With the description of each command."""
    env = environment(_PUSHLANE_COMPLETE=f"{shell}_complete", COMP_WORDS="pushlane st", COMP_CWORD=at)
    answer = subprocess.run([installed("pushlane")], env=env, capture_output=True, text=True, check=True).stdout
    assert answer.split("\n")[0].startswith("plain")
    assert "status" in answer
    assert "Show the channels." in answer


def test_tab_in_a_terminal(tmp_path: Path, redis: Redis, support: str) -> None:
    """An interactive bash completes the command, the channel and the name of a file."""
    (tmp_path / "messages.jsonl").touch()
    assert redis.smembers(CHANNELS) == {b"support"}
    keys = "pushlane sen\tsup\t--file mess\t"
    typed(keys, "pushlane send support --file messages.jsonl", tmp_path, PUSHLANE_REDIS_URL=support)
    assert os.listdir(tmp_path) == ["messages.jsonl"]  # noqa: PTH208 - names alone
