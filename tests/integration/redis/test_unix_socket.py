"""Redis over a unix socket: the queue and the broker, in both libraries' spellings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis import Redis
from support.channels import register
from support.command import pushlane
from support.producers import HELLO, Open
from support.tour import Addresses, Tour

from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.stack import FakeApi


@pytest.fixture(scope="module")
def socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The path of a server's socket; its database 3 has a channel."""
    path = tmp_path_factory.mktemp("socket") / "redis.sock"
    with EmbeddedServer(options=("--unixsocket", str(path))), Redis(unix_socket_path=str(path), db=3) as client:
        register(client)
        yield path


@pytest.mark.parametrize("spelling", ["unix://{}?db=3", "redis+socket://{}?virtual_host=3"])
def test_producers_and_commands_work_in_both_spellings(socket: Path, open_door: Open, spelling: str) -> None:
    """For the queue and for the broker."""
    url = spelling.format(socket)
    assert open_door(url).send("support", HELLO).state == "queued"
    assert "support" in pushlane("status", redis_url=url).ok()
    lines = pushlane("check", redis_url=url).out.splitlines()
    assert not [line for line in lines if line.startswith("failed") and "support" not in line], lines
    assert [line for line in lines if line.startswith("ok       broker: redis+socket://")], lines


@pytest.mark.long
def test_every_program_works(socket: Path, api: FakeApi, tmp_path: Path) -> None:
    """Producers, callback, worker, commands and Flower, for the state and the broker."""
    assert "Traceback" not in Tour(Addresses.all(f"unix://{socket}?db=0"), api, tmp_path).go()
