"""A server that refuses what it is asked, and says so in words that do not help whoever wrote the address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis import Redis
from support.channels import register
from support.command import pushlane
from support.producers import HELLO, Open
from support.server_process import ServerProcess
from support.waiting import wait_until

from pushlane import QueueUnavailable
from pushlane.clients import connect
from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNNAMED = "NOAUTH: the server needs a password: write it into the address, or into a file and set …_PASSWORD_FILE"
NOT_KNOWN = "unknown command 'EVALSHA': it is a sentinel (redis+sentinel://…), or forbids what Pushlane needs"


@pytest.fixture
def guarded() -> Iterator[EmbeddedServer]:
    """A server that needs a password."""
    with EmbeddedServer() as server, Redis.from_url(server.url) as admin:
        admin.config_set("requirepass", "s3cr3t")
        yield server


@pytest.fixture
def forbidding(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server without scripts, and with the channel."""
    server = ServerProcess(tmp_path / "server")
    server.start()
    wait_until(server.client.ping, "the server")
    register(server.client)
    record = server.client.hgetall("pushlane:1:{support}:channel")
    server.kill()
    server.words = ["--rename-command", "EVALSHA", ""]
    server.start()
    wait_until(server.client.ping, "the server again")
    server.client.hset("pushlane:1:{support}:channel", mapping=record)
    yield server
    server.close()


def test_a_server_that_needs_a_password_says_where_it_belongs(guarded: EmbeddedServer) -> None:
    """To commands, and of the queue and of the broker: redis-py's words for it are about HELLO."""
    pushlane("status", redis_url=guarded.url).refused(1, f"the queue is unavailable: {UNNAMED}")
    lines = pushlane("check", redis_url=guarded.url).out.splitlines()
    url = "PUSHLANE_REDIS_URL"
    assert [line for line in lines if url in line] == [
        f"failed   {url}: {UNNAMED}",
        f"failed   broker: {url}: {UNNAMED}",
    ]


def test_so_does_a_node_of_a_cluster(guarded: EmbeddedServer, open_door: Open) -> None:
    """It is asked for the map first."""
    door = open_door(guarded.url.replace("redis://", "redis+cluster://"))
    with pytest.raises(QueueUnavailable, match=f"^the queue is unavailable: {UNNAMED}"):
        door.status("support", "m")


def test_a_server_that_knows_no_scripts_is_told_what_is_wrong_with_it(
    forbidding: ServerProcess, open_door: Open
) -> None:
    """Without what it was asked: the arguments may be those of a message."""
    door = open_door(forbidding.url)
    with pytest.raises(QueueUnavailable, match="unknown command") as caught:
        door.send("support", HELLO)
    assert NOT_KNOWN in str(caught.value)
    assert "with args" not in str(caught.value)


def test_a_wrong_password_keeps_the_servers_words(guarded: EmbeddedServer) -> None:
    """They say it."""
    client = connect(guarded.url.replace("//", "//:wrong@"), timeout=2)
    with client, pytest.raises(Exception, match=r"^invalid username-password pair or user is disabled"):
        client.ping()
