"""`pushlane decisions`: what moderation has decided, listed and followed."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from redis import Redis
from support.callback import c2c, callback, moderation
from support.command import EMPTY_FOLDER, pushlane
from support.processes import environment, installed, running
from support.waiting import wait_until

from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.long


def lines(url: str, *words: str) -> list[dict[str, Any]]:
    """What `pushlane decisions --json` prints."""
    return [json.loads(line) for line in pushlane("decisions", "--json", *words, redis_url=url).ok().splitlines()]


def test_decisions_are_listed_the_oldest_first(support: str, tmp_path: Path) -> None:
    """A line each, of the latest ones; who, what and why, and nothing that the message said."""
    assert pushlane("decisions", redis_url=support).ok() == ""
    with callback(tmp_path, support, moderation(tmp_path)) as asked, httpx.Client() as client:
        asked.ask(client, c2c(1, "s3cret hello"))
        asked.ask(client, c2c(2, "s3cret casino"))
        asked.ask(client, c2c(2, "s3cret casino"))
        asked.ask(client, c2c(3, "s3cret", From_Account="a\x1b[2Jb"))
    documents = lines(support)
    assert [one["verdict"] for one in documents] == ["allow", "forbid", "allow"]
    assert (documents[1]["from"], documents[1]["to"], documents[1]["policy"]) == ("alice", "bob", "blocked_words")
    assert [one["message"] for one in lines(support, "--limit", "2")] == ["2_2_1557481126", "3_3_1557481126"]
    assert lines(support, "--limit", "0") == []
    out = pushlane("decisions", redis_url=support).ok()
    assert "s3cret" not in out + json.dumps(documents)
    assert "\x1b" not in out
    first, second, _ = out.splitlines()
    assert "  allow  alice to bob  1_1_1557481126" in first
    assert "  forbid  alice to bob  2_2_1557481126  (blocked_words: " in second
    pushlane("decisions", "--limit", "-1", redis_url=support).refused(2, "--limit")


@pytest.mark.parametrize("limit", ["0", "1", "50"])
def test_decisions_are_followed_until_ctrl_c(support: str, tmp_path: Path, limit: str) -> None:
    """Those that come are printed as they come, once; it ends as Ctrl-C does."""
    log = tmp_path / "follow.log"
    words = [installed("pushlane"), "decisions", "--follow", "--json", "--limit", limit]
    env = environment(PUSHLANE_REDIS_URL=support)
    with callback(tmp_path, support, moderation(tmp_path)) as asked, httpx.Client() as client:
        for number in (1, 2):
            asked.ask(client, c2c(number))
        with running(words, env=env, cwd=tmp_path, log=log) as process:
            printed = min(int(limit), 2)
            _wait_until_it_reads(support)
            wait_until(lambda: log.read_text().count("\n") == printed, "those that were there")
            for number in (3, 4):
                asked.ask(client, c2c(number))
            wait_until(lambda: log.read_text().count("\n") >= printed + 2, "those that came")
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
    messages = [int(json.loads(line)["message"].split("_")[0]) for line in log.read_text().splitlines() if line]
    assert messages == [1, 2, 3, 4][2 - printed :]


def test_decisions_can_be_followed_from_the_very_first(support: str, tmp_path: Path) -> None:
    """With none there yet; for a person as well."""
    log = tmp_path / "follow.log"
    words = [installed("pushlane"), "decisions", "--follow"]
    with callback(tmp_path, support, moderation(tmp_path)) as asked, httpx.Client() as client:
        env = environment(PUSHLANE_REDIS_URL=support)
        with running(words, env=env, cwd=tmp_path, log=log) as process:
            _wait_until_it_reads(support)
            asked.ask(client, c2c(1))
            wait_until(lambda: log.read_text().count("\n") == 1, "the first decision")
            process.send_signal(signal.SIGINT)
            process.wait(10)
    assert "allow  alice to bob" in log.read_text()


def test_following_ends_with_one_line_when_redis_goes() -> None:
    """Exit 1: whoever follows must know that nothing more comes."""
    with EmbeddedServer() as server:
        process = subprocess.Popen(
            [installed("pushlane"), "decisions", "--follow"],
            env=environment(PUSHLANE_REDIS_URL=server.url),
            cwd=EMPTY_FOLDER,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            _wait_until_it_reads(server.url)
            server.kill()
            out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("pushlane: PUSHLANE_REDIS_URL")


def _wait_until_it_reads(url: str) -> None:
    with Redis.from_url(url) as client:
        wait_until(lambda: any(one["cmd"] == "xread" for one in client.client_list()), "the command to follow")
