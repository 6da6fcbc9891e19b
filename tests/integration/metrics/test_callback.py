"""``/metrics`` of the callback: what only this process knows, and who may read it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import httpx
from support.callback import c2c, callback, moderation
from support.command import pushlane
from support.metrics import scrape
from support.waiting import wait_until

from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from pathlib import Path


def test_decisions_on_the_disk_are_told_until_redis_is_back(tmp_path: Path) -> None:
    """With Redis away the answer is still 200."""
    with (
        EmbeddedServer() as server,
        callback(tmp_path, server.url, moderation(tmp_path)) as running,
        httpx.Client() as client,
    ):
        running.ask(client, c2c(1))
        found = scrape(running.url)
        assert (found.value("pushlane_redis_up"), found.value("pushlane_spool_decisions")) == (1, 0)
        server.kill()
        for number in range(2, 5):
            running.ask(client, c2c(number))
        wait_until(lambda: scrape(running.url).value("pushlane_redis_up") == 0, "an answer without Redis")
        found = scrape(running.url)
        assert found.value("pushlane_spool_decisions") == 3
        assert (found.value("pushlane_spool_bytes") or 0) > 300
        assert found.value("pushlane_messages_queued", channel="support") is None
        server.start()
        wait_until(lambda: scrape(running.url).value("pushlane_spool_decisions") == 0, "the decisions to be fed", 30)
        wait_until(lambda: scrape(running.url).value("pushlane_redis_up") == 1, "Redis to be back")


def test_decisions_are_counted_by_policy_and_verdict(redis_url: str, tmp_path: Path) -> None:
    """With how long they took; ``chain`` made those to which no policy objected."""
    settings = moderation(tmp_path, policies="blocked_words,length")
    with callback(tmp_path, redis_url, settings) as running, httpx.Client() as client:
        for number, text in enumerate(("hello", "hi", "to the casino", "x" * 5001)):
            running.ask(client, c2c(number, text))
        found = scrape(running.url)
        made = {("chain", "allow"): 2, ("blocked_words", "forbid"): 1, ("length", "forbid"): 1}
        for (policy, verdict), count in made.items():
            labels = {"policy": policy, "verdict": verdict}
            assert found.value("pushlane_decisions_total", **labels) == count
            buckets = found.values("pushlane_decision_duration_seconds_bucket", "le", **labels)
            assert {float(bound): n for bound, n in buckets.items()}[math.inf] == count
            assert 0 <= (found.value("pushlane_decision_duration_seconds_sum", **labels) or 0) < 2 * count


def test_with_a_token_only_who_has_it_reads(redis_url: str, tmp_path: Path) -> None:
    """An API key is none."""
    token = tmp_path / "token"
    token.write_text("t0day\nt0morrow\n")
    keys = {"PUSHLANE_API_KEYS__SHOP__KEY": "k3y", "PUSHLANE_API_KEYS__SHOP__CHANNELS": "support"}
    with callback(tmp_path, redis_url, {**keys, "PUSHLANE_METRICS_TOKEN_FILE": str(token)}) as running:
        for headers in ({}, {"Authorization": "Bearer k3y"}, {"Authorization": "Basic t0day"}):
            refused = httpx.get(f"{running.url}/metrics", headers=headers)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert "pushlane_" not in refused.text
        for known in ("t0day", "t0morrow"):
            assert scrape(running.url, token=known).value("pushlane_redis_up") == 1
        document = httpx.get(f"{running.url}/openapi.json", headers={"Authorization": "Bearer k3y"}).json()
        assert document["paths"]["/metrics"]["get"]["security"] == [{"metrics_token": []}]


def test_a_token_file_that_cannot_be_read_stops_the_start(redis_url: str, tmp_path: Path) -> None:
    """Of a worker, too: open metrics were not what was asked for."""
    settings = {**moderation(tmp_path), "PUSHLANE_METRICS_TOKEN_FILE": str(tmp_path / "nosuch")}
    for command in ("callback", "worker"):
        ended = pushlane(command, redis_url=redis_url, settings=settings)
        ended.refused(2, "PUSHLANE_METRICS_TOKEN_FILE", "cannot be read")
