"""The links of a storm: each fault does what its name says, and a healed link is as good as new."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos.storm.lines import Lines, read_lines
from chaos.storm.proxy import HOST, Links
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Broken
from redis.exceptions import TimeoutError as Hanging
from redis.retry import Retry
from support.waiting import wait_until

from pushlane_worker.embedded import EmbeddedServer

PATIENCE_S = 0.3
ONCE = Retry(NoBackoff(), 0)


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """What the links write down."""
    return tmp_path / "storm.jsonl"


@pytest.fixture
def links(told: Path) -> Iterator[Links]:
    """No link yet."""
    with Links(Lines(told)) as links:
        yield links


@pytest.fixture
def client(links: Links, server: EmbeddedServer, redis_url: str) -> Iterator[Redis]:
    """A client that is led to an empty server; it does not try again."""
    port = links.lay("way", int(redis_url.rpartition(":")[2].partition("/")[0]))
    assert server.port != port
    with Redis(host=HOST, port=port, socket_timeout=PATIENCE_S, retry=ONCE) as client:
        assert client.ping()
        yield client


def _pings(client: Redis) -> bool:
    with contextlib.suppress(Broken, Hanging):
        return bool(client.ping())
    return False


def test_a_cut_link_breaks_and_refuses_until_it_is_healed(links: Links, client: Redis) -> None:
    """Connections are reset; new ones, too."""
    links.cut("way", refuses=True)
    with pytest.raises(Broken):
        client.ping()
    assert not _pings(client)
    links.heal("way")
    wait_until(lambda: _pings(client), "the link to be healed")


def test_a_stalled_link_answers_nothing_and_drops_what_its_client_gave_up(links: Links, client: Redis) -> None:
    """What a client has given up never reaches the server."""
    links.stall("way")
    with pytest.raises(Hanging):
        client.set("given", "up")
    links.heal("way")
    wait_until(lambda: _pings(client), "the link to be healed")
    assert client.get("given") is None


def test_a_delayed_link_keeps_the_order_when_the_delay_ends(links: Links, client: Redis) -> None:
    """What came later does not overtake."""
    links.delay("way", 0.1)
    started = time.monotonic()
    assert client.ping()
    assert time.monotonic() - started >= 0.2
    with socket.create_connection((HOST, client.connection_pool.connection_kwargs["port"]), timeout=5) as raw:
        raw.sendall(b"PING a\r\n")
        links.delay("way", 0.0)
        raw.sendall(b"PING b\r\n")
        assert raw.makefile("rb").read(14) == b"$1\r\na\r\n$1\r\nb\r\n"


def test_a_truncated_answer_ends_its_connection(links: Links, client: Redis, told: Path) -> None:
    """One answer comes to half; the next connection is whole."""
    client.set("long", "x" * 1000)
    links.truncate("way", 1)
    with pytest.raises(Broken):
        client.get("long")
    assert client.get("long") == b"x" * 1000
    assert [line["link"] for line in read_lines(told) if line["kind"] == "truncated"] == ["way"]
