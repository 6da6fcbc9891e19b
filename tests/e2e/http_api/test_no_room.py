"""Enqueueing over HTTP while the channel is full, or Redis is away."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from support.callback import callback
from support.channels import register
from support.http_api import HELLO, KEYS, SHOP, SUPPORT, Api, problem, stored

from pushlane import Producer, RoomMessage
from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

TIMEOUT_S = 2.0
SLACK_S = 1.0
"""For a machine that does other things at the same time."""


def test_a_full_channel_says_when_to_come_again(api: Api, redis: Redis) -> None:
    """429 with Retry-After; a list that does not fit is not accepted in part."""
    register(redis, max_queued=2)
    assert api.post(SUPPORT, json=HELLO).status_code == 202
    for body in ([HELLO, HELLO], [HELLO] * 3):
        answer = api.post(SUPPORT, json=body)
        problem(answer, 429)
        assert answer.headers["retry-after"] == "1"
    assert api.post(SUPPORT, json=HELLO).status_code == 202
    problem(api.post(SUPPORT, json=HELLO), 429)
    assert len(stored(redis)) == 2


@pytest.mark.long
def test_without_redis_a_message_was_perhaps_accepted_and_may_be_repeated(tmp_path: Path) -> None:
    """503 within the producer's timeout, whether Redis is frozen or gone; repeated with its key it is one message."""
    key = {"Idempotency-Key": "order-7"}
    with EmbeddedServer(append_only=True) as server:
        with Redis.from_url(server.url) as client:
            register(client)
        with callback(tmp_path, server.url, KEYS) as running, Api(running.url) as api:
            first_id = api.post(SUPPORT, json=HELLO).json()["message_id"]
            server.pause()
            try:
                told = _away(api.post(SUPPORT, json=HELLO, headers=key))
                assert "perhaps accepted" in told["detail"]
                _away(api.get(f"{SUPPORT}/{first_id}"))
                assert "perhaps cancelled" in _away(api.delete(f"{SUPPORT}/{first_id}"))["detail"]
                with Api(running.url, SHOP) as shop:
                    refused = shop.get(f"{SUPPORT}/{first_id}")
                    problem(refused, 403)
                    assert refused.elapsed.total_seconds() < SLACK_S, "Redis was not asked: its time tells nothing"
            finally:
                server.resume()
            receipt = api.post(SUPPORT, json=HELLO, headers=key).json()
            assert receipt["message_id"] == told["message_id"]
            with Producer(server.url) as producer:
                assert producer.send("support", RoomMessage("r", "hello"), idempotency_key="order-7").duplicate
            server.kill()
            _away(api.post(SUPPORT, json=HELLO))
            assert api.get("/readyz").status_code == 503
            server.restart()
            assert api.post(SUPPORT, json=HELLO, headers=key).json() == receipt | {"duplicate": True}
            assert "127.0.0.1" not in json.dumps(told), "where Redis is is nobody's business"


def _away(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["retry-after"] == "1"
    assert answer.elapsed.total_seconds() < TIMEOUT_S + SLACK_S
    return problem(answer, 503)
