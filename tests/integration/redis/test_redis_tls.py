"""Redis over TLS and over a unix socket: the queue and the broker, which carry one password, by the same rules."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
from support.channels import register
from support.command import pushlane
from support.producers import HELLO, Open
from support.proxy import proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

    from pushlane_worker.embedded import EmbeddedServer


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that no system trusts."""
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> str:
    """The parameter that trusts it."""
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return f"?ssl_ca_certs={file}"


def certified(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """A server's context with a certificate for this name."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def over_tls(server: EmbeddedServer, redis: Redis, authority: trustme.CA) -> Iterator[str]:
    """The address of a Redis that speaks TLS, without parameters."""
    register(redis)
    with proxy(server.port, tls=certified(authority, "127.0.0.1")) as secured:
        yield f"rediss://127.0.0.1:{secured.port}/0"


@pytest.fixture
def over_socket(server: EmbeddedServer, redis: Redis, tmp_path: Path) -> Iterator[Path]:
    """The path of a Redis's unix socket."""
    register(redis)
    path = tmp_path / "redis.sock"
    with proxy(server.port, path=path):
        yield path


def lines_of_check(url: str) -> list[str]:
    """What ``pushlane check`` says of the queue and of the broker."""
    ended = pushlane("check", redis_url=url)
    assert not ended.err
    return [line for line in ended.out.splitlines() if "settings:" not in line]


def test_a_private_authority_is_trusted_where_the_address_names_it(over_tls: str, trusted: str) -> None:
    """By the queue and by the broker."""
    lines = lines_of_check(over_tls + trusted)
    assert not [line for line in lines if line.startswith("failed")], lines
    assert [line for line in lines if line.startswith("ok       broker: rediss://")]


def test_a_certificate_that_nobody_vouches_for_is_refused(over_tls: str) -> None:
    """By the queue and by the broker, with a line each."""
    queue, broker = lines_of_check(over_tls)
    assert queue.startswith("failed   PUSHLANE_REDIS_URL: ")
    assert "certificate verify failed" in queue
    assert broker.startswith("failed   broker: PUSHLANE_REDIS_URL: ")
    assert "certificate verify failed" in broker


def test_a_certificate_for_another_name_is_refused(
    server: EmbeddedServer, redis: Redis, authority: trustme.CA, trusted: str
) -> None:
    """Trust in the authority is not enough."""
    register(redis)
    with proxy(server.port, tls=certified(authority, "other.example")) as secured:
        lines = lines_of_check(f"rediss://127.0.0.1:{secured.port}/0{trusted}")
    assert len([line for line in lines if line.startswith("failed") and "IP address mismatch" in line]) == 2, lines


def test_producers_verify_as_well(over_tls: str, trusted: str, open_door: Open) -> None:
    """The two producers accept and refuse the same."""
    assert open_door(over_tls + trusted).send("support", HELLO).sequence == 1
    with pytest.raises(Exception, match="certificate verify failed"):
        open_door(over_tls).send("support", HELLO)


@pytest.mark.parametrize("spelling", ["unix://{}?db=0", "redis+socket://{}?virtual_host=0"])
def test_a_unix_socket_works_in_both_spellings(over_socket: Path, open_door: Open, spelling: str) -> None:
    """For the producers, for the commands and for the broker."""
    url = spelling.format(over_socket)
    assert open_door(url).send("support", HELLO).sequence == 1
    lines = lines_of_check(url)
    assert not [line for line in lines if line.startswith("failed")], lines
    assert [line for line in lines if line.startswith("ok       broker: redis+socket://")]
