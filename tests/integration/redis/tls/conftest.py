"""Certificates, a server with each fault, and one without."""

from collections.abc import Iterator

import pytest
from redis import Redis
from support.channels import register
from support.tls import FAULTS, PASSWORD, Certificates, Secured, secured

from pushlane_worker.embedded import EmbeddedServer


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Those of the tests."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=FAULTS)
def fault(request: pytest.FixtureRequest) -> str:
    """Each of the faults."""
    return str(request.param)


@pytest.fixture
def login(redis: Redis) -> Iterator[str]:
    """A user of the server with a password that no line may show; the channel is registered."""
    register(redis)
    redis.acl_setuser("tls", enabled=True, passwords=[f"+{PASSWORD}"], keys="*", channels="*", commands=["+@all"])
    yield f"tls:{PASSWORD}"
    redis.acl_deluser("tls")


@pytest.fixture
def refused(server: EmbeddedServer, certificates: Certificates, fault: str, login: str) -> Iterator[Secured]:
    """A server with this fault."""
    with secured(server.port, certificates, fault, login) as behind:
        yield behind


@pytest.fixture
def accepted(server: EmbeddedServer, certificates: Certificates, login: str) -> Iterator[Secured]:
    """A server that demands a client certificate; the address has all that it needs."""
    with secured(server.port, certificates, "", login) as behind:
        yield behind
