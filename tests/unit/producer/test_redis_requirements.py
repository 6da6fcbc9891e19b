"""Which servers can hold a queue, by what they say of themselves."""

import pytest
from support.documentation import README, page, read

from pushlane.service.redis_requirements import SUPPORTED, broker_findings, server_findings, server_problem

FIT = {"redis_mode": "standalone", "maxmemory_policy": "noeviction", "aof_enabled": 1}


@pytest.mark.parametrize(
    ("info", "name"),
    [
        ({"redis_version": "7.0.0"}, "redis 7.0.0"),
        ({"redis_version": "8.2.3"}, "redis 8.2.3"),
        ({"redis_version": 8.0}, "redis 8.0"),  # what redis-py makes of a version without a third number
        ({"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "7.2.5"}, "valkey 7.2.5"),
        ({"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "10.0.1"}, "valkey 10.0.1"),
    ],
)
def test_a_supported_server_is_named(info: dict[str, object], name: str) -> None:
    """With its own version: a Valkey names two."""
    assert {finding.verdict for finding in server_findings(FIT | info)} == {"ok"}
    assert next(server_findings(FIT | info)).what == f"Redis: {name}"


@pytest.mark.parametrize("version", ["6.2.5", "6.3.4"])
def test_a_server_that_is_too_old_is_told_what_would_do(version: str) -> None:
    """6.3 is KeyDB's newest, a fork of Redis 6."""
    assert server_problem(FIT | {"redis_version": version}) == f"is version {version}; Pushlane needs {SUPPORTED}"


@pytest.mark.parametrize("name", ["Dragonfly", "Garnet", "Kvrocks"])
def test_a_server_that_only_speaks_like_redis_is_refused(name: str) -> None:
    """Whichever version of Redis it claims to be."""
    info = FIT | {"redis_version": "7.4.0", f"{name.lower()}_version": "v1.40.1"}
    assert server_problem(info) == f"is {name}; Pushlane needs {SUPPORTED}"


def test_a_sentinel_is_told_from_a_server() -> None:
    """And nothing is asked of it that only a server has."""
    says = "is a sentinel; write the address as redis+sentinel://…/SERVICE/0"
    info = {"redis_version": "7.2.4", "redis_mode": "sentinel"}
    assert list(server_findings(info)) == [("failed", f"Redis: it {says}")]
    assert list(broker_findings(info)) == [("failed", f"broker: it {says}")]


def test_a_broker_may_lose_what_it_holds_but_not_drop_it_at_any_time() -> None:
    """It needs no append-only file."""
    info = FIT | {"redis_version": "7.2.4", "aof_enabled": 0}
    assert list(broker_findings(info)) == []
    says = "broker: maxmemory-policy is volatile-lru, which drops tasks; set it to noeviction"
    assert list(broker_findings(info | {"maxmemory_policy": "volatile-lru"})) == [("failed", says)]


@pytest.mark.parametrize("text", [read(README), page("redis")], ids=["README", "redis"])
def test_the_documents_say_which_versions_are_supported(text: str) -> None:
    """In the words of the check."""
    assert SUPPORTED in " ".join(text.split())
