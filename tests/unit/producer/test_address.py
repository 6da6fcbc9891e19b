"""Addresses of a Redis: what they mean to both clients, and that a wrong one says why without its password."""

import ssl
from typing import Any

import pytest
from kombu.connection import Connection

from pushlane import AsyncProducer, Producer
from pushlane.address import Address, parse

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://localhost:6379/0", Address(None, None, 0)),
        ("redis://", Address(None, None, 0)),
        ("redis://r.example", Address(None, None, 0, "r.example")),
        ("redis://r.example:7000/15", Address(None, None, 15, "r.example", 7000)),
        ("redis://r.example/1?db=2", Address(None, None, 2, "r.example")),
        ("redis://:p%40ss%2Fw%23rd@r.example/", Address(None, "p@ss/w#rd", 0, "r.example")),
        ("redis://us%3Aer:secret@[::1]:6380/3", Address("us:er", "secret", 3, "::1", 6380)),
        ("redis://r.example?max_connections=2&decode_responses=True", Address(None, None, 0, "r.example")),
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
    assert (kombus.hostname, kombus.port, int(kombus.virtual_host)) == (address.host, address.port, address.db)
    assert (kombus.userid, kombus.password) == (address.username, address.password)


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
    ("redis+sentinel://h:26379/main/0", "must begin with redis://"),
    ("redis://localhost:port/0", "port must be a number from 1 to 65535"),
    ("redis://localhost:70000/0", "port must be a number from 1 to 65535"),
    ("redis://localhost:0/0", "port must be a number from 1 to 65535"),
    ("redis://host/zero", "database must be a number"),
    ("redis://host/0/1", "database must be a number"),
    ("redis://host/-1", "database must be a number"),
    ("redis://host/²", "database must be a number"),
    ("redis://host?db=x", "database must be a number"),
    ("redis://a:1,b:2/0", "must name one server"),
    ("redis://a,b/0", "must name one server"),
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
    assert SECRET not in repr(parse(f"rediss://:{SECRET}@host/0?ssl_password={SECRET}"))
