"""Messages from CINNOX while Redis hangs or is dead: refused in time, and in the queue once after a repeat."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from redis import Redis
from support.callback import Callback, callback
from support.channels import claim, register
from support.waiting import wait_until
from support.webhook import PATH, bearer, incoming, webhook

from pushlane.message_record import read_content
from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.alone

BUDGET_S = 2.0
UNNAMED = {"userId": "alice", "message": {"text": "unnamed"}}


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    """A server of our own, which keeps its data when it is killed."""
    with EmbeddedServer(append_only=True) as server:
        yield server


@pytest.fixture
def redis_url(server: EmbeddedServer) -> str:
    """Its address."""
    return server.url


class Sender:
    """CINNOX, which repeats what was not answered with ``{"code": 0}``."""

    def __init__(self, running: Callback, client: httpx.Client) -> None:
        self._url = running.url + PATH
        self._client = client
        self.took: list[float] = []

    def code(self, body: dict[str, Any]) -> int:
        """The code of the answer, which is its status as well."""
        started = time.monotonic()
        response = self._client.post(self._url, json=body, headers=bearer(), timeout=10)
        self.took.append(time.monotonic() - started)
        code = int(response.json()["code"])
        assert response.status_code == (code or 200)
        assert ("Retry-After" in response.headers) is (code == 503)
        return code

    def repeat(self, body: dict[str, Any]) -> None:
        """Sends it until it is stored."""
        wait_until(lambda: self.code(body) == 0, "it to be stored")


@pytest.mark.parametrize("away", ["stopped", "killed"])
def test_what_comes_while_redis_is_away_is_503_and_stored_once_by_its_repeat(
    server: EmbeddedServer, redis_url: str, tmp_path: Path, away: str
) -> None:
    """Also what a hanging Redis had got, and does when it wakes up: nothing is lost, and nothing is there twice."""
    with Redis.from_url(redis_url) as client:
        register(client)
    with callback(tmp_path, redis_url, webhook()) as running, httpx.Client() as http:
        sender = Sender(running, http)
        assert sender.code(incoming(1, "first")) == 0
        sender.took.clear()
        bodies = [incoming(2, "second"), UNNAMED, incoming(3, "third")]
        server.pause() if away == "stopped" else server.kill()
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(sender.code, (*bodies, incoming(1, "first")))) == [503] * 4
        assert max(sender.took) < BUDGET_S, sender.took
        server.resume() if away == "stopped" else server.start()
        for body in (incoming(1, "first"), *bodies, *bodies):
            sender.repeat(body)
        wait_until(lambda: running.log.read_text().count("webhook.refused") >= 4, "a line of each refusal")
        log = running.log.read_text()
    texts = [read_content(record)[2] for one in claim(redis_url) for record in one.records]
    assert sorted(texts) == [b'"first"', b'"second"', b'"third"', b'"unnamed"']
    assert "Traceback" not in log
    assert not [text for text in ("second", "third", "unnamed") if text in log]
