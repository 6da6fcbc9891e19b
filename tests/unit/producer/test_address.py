"""Addresses of a Redis: what they mean to both clients, and that a wrong one says why without its password."""

import ssl
from typing import Any

import pytest
from kombu.connection import Connection

from pushlane import AsyncProducer, Producer
from pushlane.address import Address, Node, parse

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://localhost:6379/0", Address(None, None, 0)),
        ("redis://r.example", Address(None, None, 0, (Node("r.example"),))),
        ("redis://r.example:7000/15", Address(None, None, 15, (Node("r.example", 7000),))),
        ("redis://r.example/1?db=2", Address(None, None, 2, (Node("r.example"),))),
        ("redis://:p%40ss%2Fw%23rd@r.example/", Address(None, "p@ss/w#rd", 0, (Node("r.example"),))),
        ("redis://us%3Aer:secret@[::1]:6380/3", Address("us:er", "secret", 3, (Node("::1", 6380),))),
        ("redis://r.example?max_connections=2&decode_responses=True", Address(None, None, 0, (Node("r.example"),))),
        ("unix:///run/redis.sock", Address(None, None, 0, path="/run/redis.sock")),
        ("unix://u:p@/run/my%20redis.sock?db=4", Address("u", "p", 4, path="/run/my redis.sock")),
        ("redis+socket:///run/redis.sock?virtual_host=4", Address(None, None, 4, path="/run/redis.sock")),
    ],
)
def test_an_address_means_the_same_to_the_queue_and_to_celery(url: str, address: Address) -> None:
    """What ours reads and what kombu reads out of the form that it gets are one thing."""
    assert parse(url) == address
    kombus: Any = Connection(address.for_celery())
    if address.path:
        assert parse(address.for_celery()) == address
        return
    ((host, port),) = address.nodes
    assert (kombus.hostname, kombus.port, int(kombus.virtual_host)) == (host, port, address.db)
    assert (kombus.userid, kombus.password) == (address.username, address.password)


def test_a_cluster_has_several_nodes() -> None:
    """Any of them leads to the others. A port may be left out."""
    nodes = (Node("a"), Node("::1", 7001))
    assert parse("redis+cluster://us:er%40@a,[::1]:7001") == Address("us", "er@", 0, nodes, "cluster")
    assert parse("rediss+cluster://a:6379,[::1]:7001/0").tls is not None


def test_sentinels_know_the_primary_of_a_service() -> None:
    """The same for Celery, which gets the service among its transport options."""
    nodes = (Node("a", 26379), Node("b", 5000))
    address = parse("redis+sentinel://us%2Fer:p%40ss@a,b:5000/main/3?sentinel_password=s%40")
    assert address == Address("us/er", "p@ss", 3, nodes, "sentinel", service="main", sentinel_login={"password": "s@"})
    kombus: Any = Connection(address.for_celery())
    assert (kombus.transport_cls, kombus.userid, kombus.password, kombus.virtual_host) == (
        "sentinel",
        "us/er",
        "p@ss",
        "3",
    )
    assert [Connection(one).hostname for one in kombus.alt] == ["a", "b"]
    assert parse("redis+sentinel://a/main").db == 0
    assert parse("rediss+sentinel://a/main").tls is not None


@pytest.mark.parametrize(
    ("query", "tls"),
    [
        ("", (ssl.CERT_REQUIRED, True)),
        ("?ssl_ca_certs=/etc/ca.pem", (ssl.CERT_REQUIRED, True)),
        ("?ssl_check_hostname=false", (ssl.CERT_REQUIRED, False)),
        ("?ssl_cert_reqs=none", (ssl.CERT_NONE, False)),
        ("?ssl_cert_reqs=CERT_NONE", (ssl.CERT_NONE, False)),
        ("?ssl_cert_reqs=optional", (ssl.CERT_OPTIONAL, True)),
    ],
)
def test_tls_verifies_unless_the_address_says_otherwise(query: str, tls: tuple[ssl.VerifyMode, bool]) -> None:
    """Also in kombu's words; the rest of the parameters goes on as redis-py names it."""
    found = parse(f"rediss://r.example/0{query}").tls
    assert found is not None
    assert (found["ssl_cert_reqs"], found["ssl_check_hostname"]) == tls
    assert found.get("ssl_ca_certs") == ("/etc/ca.pem" if "ca_certs" in query else None)


WRONG = [
    ("localhost:6379", "must begin with redis://"),
    ("http://localhost", "must begin with redis://"),
    ("redis+sentinel://h:26379", "must name the sentinels' service"),
    ("redis+sentinel://h:26379/0", "must name the sentinels' service"),
    ("redis+sentinel://h/main/x", "database must be a number"),
    ("redis+sentinel://h:26379,i:x/main/0", "port must be a number"),
    ("redis+cluster://a:1,b:2/1", "only the database 0"),
    ("redis+cluster://a:1,b:2?ssl_ca_certs=/etc/ca.pem", "needs rediss+cluster://"),
    ("redis://h?sentinel_password=x", "needs redis+sentinel://"),
    (f"redis+sentinel://:p@{SECRET}#@h/main", "percent-encoded"),
    ("redis://localhost:port/0", "port must be a number from 1 to 65535"),
    ("redis://localhost:70000/0", "port must be a number from 1 to 65535"),
    ("redis://localhost:0/0", "port must be a number from 1 to 65535"),
    ("redis://", "must name the host"),
    ("redis:///0", "must name the host"),
    ("redis://:6379/0", "must name the host"),
    (f"redis://:{SECRET}@/0", "must name the host"),
    ("redis+cluster://a:1,,b:2", "must name the host"),
    ("redis+sentinel://a:26379,:26379/main", "must name the host"),
    ("redis://host/zero", "database must be a number"),
    ("redis://host/0/1", "database must be a number"),
    ("redis://host/-1", "database must be a number"),
    ("redis://host/²", "database must be a number"),
    ("redis://host?db=x", "database must be a number"),
    ("redis://a:1,b:2/0", "several servers are written redis+cluster://"),
    ("redis://a,b/0", "several servers are written redis+cluster://"),
    ("redis://ho st/0", "blanks"),
    ("redis://[::1/0", "IPv6"),
    (f"redis://:{SECRET}/w#rd@host:6379/0", "percent-encoded"),
    (f"redis://:p@ss/{SECRET}#rd@host:6379/0", "percent-encoded"),
    (f"redis://:p/{SECRET}@host:6379/0", "percent-encoded"),
    (f"redis://:p?{SECRET}@host:6379/0", "percent-encoded"),
    (f"redis://:p#{SECRET}@host:6379/0", "percent-encoded"),
    (f"redis://:{SECRET}[@host:6379/0", "percent-encoded"),
    (f"redis://:\N{FULLWIDTH COLON}{SECRET}@host:6379/0", "percent-encoded"),
    (f"redis://:{SECRET}%@host:70000/0", "port must be a number from 1 to 65535"),
    (f"redis://:{SECRET},p/w@host:6379/0", "percent-encoded"),
    ("redis://host?ssl_ca_certs=/etc/ca.pem", "needs rediss://"),
    ("rediss://host?ssl_ca_cert=/etc/ca.pem", "did you mean ssl_ca_certs?"),
    ("rediss://host?ssl_cert_reqs=perhaps", "ssl_cert_reqs must be one of none, optional, required"),
    ("rediss://host?ssl_min_version=1.2", "771 (TLS 1.2)"),
    ("unix://run/redis.sock", "unix:///path/to/redis.sock"),
    ("unix:///", "unix:///path/to/redis.sock"),
    (f"unix://:p/{SECRET}@/run/redis.sock", "percent-encoded"),
]


@pytest.mark.parametrize(("url", "problem"), WRONG)
def test_a_wrong_address_says_what_would_be_right(url: str, problem: str) -> None:
    """And shows no part of a password that stands in it."""
    with pytest.raises(ValueError, match="must be an address like redis://localhost:6379/0: ") as caught:
        parse(url)
    line = str(caught.value)
    assert problem in line
    assert SECRET not in line
    assert "ss/" not in line


@pytest.mark.parametrize("kind", [Producer, AsyncProducer])
def test_a_producer_refuses_a_wrong_address_when_it_is_made(kind: type) -> None:
    """Not at its first message."""
    with pytest.raises(ValueError, match="percent-encoded"):
        kind("redis://:p@ss/w#rd@host:6379/0")


def test_an_address_shows_no_password() -> None:
    """Where it is part of a traceback or a log."""
    for kind, rest in (("", "/0"), ("+cluster", ""), ("+sentinel", "/main/0")):
        query = f"ssl_password={SECRET}" + (f"&sentinel_password={SECRET}" if kind == "+sentinel" else "")
        assert SECRET not in repr(parse(f"rediss{kind}://:{SECRET}@host{rest}?{query}"))
