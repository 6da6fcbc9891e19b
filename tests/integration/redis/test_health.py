"""A Redis that cannot hold a queue: who says so, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from structlog.testing import capture_logs
from support.callback import callback, moderation
from support.cluster import cluster
from support.command import pushlane
from support.failover import Pair, replicated
from support.server_process import ServerProcess
from support.stack import channel_settings
from support.waiting import wait_until
from support.webhook import webhook

from pushlane.clients import connect_async
from pushlane.keys import CHANNELS, channel_prefix
from pushlane.service import redis_requirements
from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

SETTINGS = channel_settings("http://127.0.0.1:9")
EVICTING = "Redis: maxmemory-policy is allkeys-lru, which drops messages; set it to noeviction"
REPLICA = "is a read-only replica; the address must lead to its primary"


@pytest.fixture
def evicting(redis: Redis) -> Iterator[Redis]:
    """A server that evicts, for as long as nobody sets it right."""
    redis.config_set("maxmemory-policy", "allkeys-lru")
    yield redis
    redis.config_set("maxmemory-policy", "noeviction")


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A primary and its replica, behind an address that leads to the primary."""
    with replicated() as pair:
        yield pair


async def test_a_server_that_becomes_unfit_is_reported_at_each_look(evicting: Redis, redis_url: str) -> None:
    """A warning is not: without an append-only file a server is a choice."""
    client = connect_async(redis_url, timeout=2, connect_timeout=2)
    watch = redis_requirements.Watch(client)
    with capture_logs() as logs:
        await watch.look()
        await watch.look()
        evicting.config_set("maxmemory-policy", "noeviction")
        await watch.look()
    await client.aclose()
    assert [one["problem"] for one in logs if one["log_level"] == "error"] == [EVICTING] * 2
    assert len([one for one in logs if one["log_level"] == "warning"]) == 1


async def test_a_server_that_was_away_is_looked_at_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not only a minute later."""
    monkeypatch.setattr(redis_requirements, "STEP_S", 0)
    with EmbeddedServer() as server:
        client = connect_async(server.url, timeout=2, connect_timeout=2)
        watch = redis_requirements.Watch(client)
        server.kill()
        with capture_logs() as logs:
            await watch.step()
            assert not logs
            server.restart()
            await watch.step()
            await watch.step()
        await client.aclose()
    assert ["append-only file" in one["problem"] for one in logs] == [True]


@pytest.mark.usefixtures("evicting")
def test_a_callback_reports_a_server_that_is_unfit(redis_url: str, tmp_path: Path) -> None:
    """It answers all the same: what it would not do the platform would do unjudged."""
    with callback(tmp_path, redis_url, moderation(tmp_path)) as running:
        wait_until(lambda: EVICTING in running.log.read_text(), "the line")


def test_check_tells_a_replica(pair: Pair) -> None:
    """Its address may lead there for a moment, in a failover, or for ever."""
    pair.address.target = pair.new_port
    ended = pushlane("check", redis_url=pair.url)
    assert ended.code == 1
    assert f"failed   Redis: it {REPLICA}" in ended.out.splitlines()


def test_check_tells_what_is_wrong_with_the_broker(pair: Pair, redis_url: str) -> None:
    """Celery says so only when it publishes."""
    broker = {"PUSHLANE_BROKER_URL": pair.url}
    good = pushlane("check", redis_url=redis_url, settings=broker).ok().splitlines()
    assert [line[:17] for line in good if "broker" in line] == ["ok       broker: "]
    pair.new.config_set("maxmemory-policy", "allkeys-lru")
    pair.address.target = pair.new_port
    ended = pushlane("check", redis_url=redis_url, settings=broker)
    assert ended.code == 1
    policy = "broker: maxmemory-policy is allkeys-lru, which drops tasks; set it to noeviction"
    failed = [line for line in ended.out.splitlines() if line.startswith("failed")]
    assert failed == [f"failed   broker: it {REPLICA}", f"failed   {policy}"]


def test_a_sentinel_is_told_from_a_server(tmp_path: Path) -> None:
    """By ``check`` and by a worker's start, of the queue and of the broker."""
    words = [str(tmp_path / "sentinel.conf"), "--sentinel"]
    sentinel = ServerProcess(tmp_path / "sentinel", words)
    (tmp_path / "sentinel.conf").touch()
    sentinel.start()
    try:
        wait_until(sentinel.client.ping, "the sentinel")
        says = "it is a sentinel; write the address as redis+sentinel://…/SERVICE/0"
        lines = pushlane("check", redis_url=sentinel.url).out.splitlines()
        assert [line for line in lines if "Redis: " in line] == [f"failed   Redis: {says}"]
        worker = pushlane("worker", redis_url=sentinel.url, settings=SETTINGS)
        worker.refused(2, f"PUSHLANE_REDIS_URL: Redis: {says}")
    finally:
        sentinel.close()


def test_the_callback_is_not_ready_on_a_replica(pair: Pair, tmp_path: Path) -> None:
    """And is again, without a restart, when the address leads to the new primary."""
    with callback(tmp_path, pair.url, webhook()) as running, httpx.Client(base_url=running.url) as client:
        assert client.get("/readyz").json() == {"status": "ok"}
        pair.address.target = pair.new_port
        pair.old.client_kill_filter(_type="normal", skipme=True)
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"status": f"redis {REPLICA}"})
        pair.new.replicaof("NO", "ONE")
        assert client.get("/readyz").json() == {"status": "ok"}


def test_a_cluster_is_told_from_a_server(tmp_path: Path) -> None:
    """By ``check``, by a worker's start, and by each command that meets a redirection."""
    with cluster(tmp_path) as made:
        # One that has no key which the commands read.
        owners = [made.master_of(key) for key in (CHANNELS, channel_prefix("support"))]
        url = next(node.url for node in made.masters if node not in owners)
        checked = pushlane("check", redis_url=url).out.splitlines()
        pushlane("worker", redis_url=url, settings=SETTINGS).refused(
            2, "PUSHLANE_REDIS_URL", "is a node of a Redis Cluster"
        )
        pushlane("status", "support", redis_url=url).refused(1, "MOVED ", "write the address as redis+cluster://")
    assert "failed   Redis: it is a node of a Redis Cluster; write the address as redis+cluster://…" in checked
