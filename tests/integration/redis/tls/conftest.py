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
    """Each of the faults, unless a test names its own."""
    return str(request.param)


@pytest.fixture
def refused(server: EmbeddedServer, certificates: Certificates, fault: str) -> Iterator[Secured]:
    """A server with this fault."""
    with secured(server.port, certificates, fault) as behind:
        yield behind


@pytest.fixture
def accepted(server: EmbeddedServer, redis: Redis, certificates: Certificates) -> Iterator[Secured]:
    """A server that demands a client certificate, and a user of it with a password; the address has all of them."""
    register(redis)
    redis.acl_setuser("tls", enabled=True, passwords=[f"+{PASSWORD}"], keys="*", channels="*", commands=["+@all"])
    with secured(server.port, certificates, login=f"tls:{PASSWORD}") as behind:
        yield behind
    redis.acl_deluser("tls")
