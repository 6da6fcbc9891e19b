"""A Redis with a private authority that demands a client certificate: with the right address, everything works."""

from pathlib import Path

import pytest
from support.command import pushlane
from support.producers import HELLO, Open
from support.stack import FakeApi
from support.tls import PASSWORD, Secured
from support.tour import Addresses, Tour

pytestmark = pytest.mark.single_server("it has TLS in front of one")


def test_both_producers_send(accepted: Secured, open_door: Open) -> None:
    """The authority and the certificate are files named in the address."""
    assert open_door(accepted.url).send("support", HELLO).sequence == 1


def test_the_commands_work(accepted: Secured) -> None:
    """And ``check`` finds nothing wrong with the state and the broker."""
    assert pushlane("send", "support", "--room", "r", "hello", redis_url=accepted.url).ok()
    assert "support" in pushlane("status", redis_url=accepted.url).ok()
    lines = pushlane("check", redis_url=accepted.url).out.splitlines()
    assert not [line for line in lines if line.startswith("failed")], lines
    assert [line for line in lines if line.startswith("ok       broker: rediss://tls:**@")], lines
    assert PASSWORD not in "".join(lines)


@pytest.mark.long
def test_every_program_works(accepted: Secured, api: FakeApi, tmp_path: Path) -> None:
    """Producers, callback, worker, commands and Flower, for the state and the broker, and none shows the password."""
    log = Tour(Addresses.all(accepted.url), api, tmp_path).go()
    assert "Traceback" not in log
    assert not [file for file in tmp_path.glob("*.log") if PASSWORD in file.read_text()]
