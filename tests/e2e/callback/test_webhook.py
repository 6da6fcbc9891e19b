"""From CINNOX's webhook to the chat API: what comes is delivered, in order and once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
from support.callback import callback
from support.channels import register
from support.stack import FakeApi, Stack, channel_settings, fake_api
from support.waiting import wait_until
from support.webhook import PATH, TOKEN, bearer, incoming, webhook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

pytestmark = pytest.mark.long


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """An API that answers at once."""
    with fake_api() as api:
        yield api


def test_a_replayed_webhook_makes_one_delivery(redis: Redis, redis_url: str, tmp_path: Path, api: FakeApi) -> None:
    """Repeats at once, one after another, and after the delivery; two callback processes share the port."""
    register(redis)
    stack = Stack(redis_url, api, tmp_path, channel_settings(api.url))
    with callback(tmp_path, redis_url, webhook(relay_to="im-{userId}"), workers=2) as running:
        try:
            worker = stack.worker("-c", "1")

            def send(number: int) -> dict[str, object]:
                with httpx.Client() as client:  # a connection of its own, which any of the processes may get
                    answer = client.post(running.url + PATH, json=incoming(number, f"#{number}"), headers=bearer())
                    return dict(answer.json())

            with ThreadPoolExecutor(8) as threads:
                assert list(threads.map(send, [1] * 20)) == [{"code": 0}] * 20
            worker.ready()
            stack.wait_for(1)
            assert [send(number) for number in (1, 2, 1, 3, 2, 3)] == [{"code": 0}] * 6
            stack.wait_for(3)
            wait_until(lambda: stack.depth() == 0, "the queue to be empty")
            assert api.texts("im-alice") == ["#1", "#2", "#3"]
            assert stack.record().accepted == 3
            wait_until(lambda: running.log.read_text().count("path=/cinnox/webhook") >= 6, "a line of each request")
            log = running.log.read_text() + worker.log.read_text()
            assert TOKEN not in log
            assert "#1" not in log
        finally:
            stack.close()
