"""What Flower shows of drains, read over its API."""

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.flower import flower
from support.stack import Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Producer, RoomMessage


@pytest.fixture
def stack(redis_url: str, tmp_path: Path) -> Iterator[Stack]:
    """A channel with short backoff, and an API that takes 100 ms."""
    with fake_api(latency_s=0.1) as api:
        settings = channel_settings(api.url, backoff_base_s=0.1, breaker_after=1000)
        stack = Stack(redis_url, api, tmp_path, settings)
        yield stack
        stack.close()


@pytest.fixture
def watching(stack: Stack) -> Iterator[str]:
    """The address of a Flower that watches the stack's workers."""
    with flower(stack) as url:
        yield url


def _drains(watching: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{watching}/api/tasks?limit=10000") as answer:  # noqa: S310 # loopback
        return list(json.loads(answer.read()).values())


def _count(drains: list[dict[str, Any]], field: str) -> int:
    results = [drain["result"] or "" for drain in drains]
    return sum(int(match[1]) for result in results if (match := re.search(rf"'{field}': (\d+)", result)))


def _states(drains: list[dict[str, Any]]) -> set[str]:
    return {drain["state"] for drain in drains}


@pytest.mark.timeout(90)
def test_the_counts_of_drains_add_up_to_what_the_api_counted(stack: Stack, watching: str) -> None:
    """After the drains ended, pushes and delivered messages in Flower are those of the API, also across slices."""
    stack.worker("-c", "2").ready()
    _events_flow(stack, watching)
    with Producer(stack.redis_url) as producer:
        for wave in range(30):
            producer.send_many("support", [RoomMessage(f"r{n}", f"hello #{wave + 1}") for n in range(1000)])
    stack.api.control(fail={"rate": 0.05})
    stack.wait_for(30_001, 40)
    wait_until(
        lambda: _count(_drains(watching), "pushes") == stack.record().pushes,
        f"Flower to count {stack.record().pushes} pushes, it has {_count(_drains(watching), 'pushes')}",
    )
    # One more may have been woken by a sweep, and have found nothing to do.
    wait_until(lambda: not {"RECEIVED", "STARTED"} & _states(_drains(watching)), "the drains to end")
    drains = _drains(watching)
    assert _count(drains, "delivered") == 30_001
    assert _count(drains, "failed") == stack.record().by_status[503]
    assert _states(drains) <= {"SUCCESS", "RETRY"}


@pytest.mark.timeout(90)
def test_trouble_shows_as_retry_and_failure_with_its_reason(stack: Stack, watching: str) -> None:
    """A spell of 503 shows RETRY with outcome, count and next try; a dead letter FAILURE with the API's reason."""
    stack.worker("-c", "1").ready()
    _events_flow(stack, watching)
    stack.api.control(down=503)
    with Producer(stack.redis_url) as producer:
        producer.send("support", RoomMessage("r1", "hello"))
        retried = wait_until(lambda: _exception(watching, "RETRY"), "a drain in state RETRY")
        assert re.search(r"PushesPostponed: support: \d+ failed \(HTTP 503.*\); next try in ", retried or "")
        stack.api.control(down=None)
        stack.wait_for(2)
        stack.api.control(reject_text="BAD")
        producer.send("support", RoomMessage("r2", "BAD"))
    failed = wait_until(lambda: _exception(watching, "FAILURE"), "a drain in state FAILURE")
    assert re.search(r"MessagesDeadLettered.*support: 1 of \d+ messages were dead-lettered: HTTP 400", failed or "")


def _exception(watching: str, state: str) -> str | None:
    """The exception of a drain in this state."""
    return next((drain["exception"] for drain in _drains(watching) if drain["state"] == state), None)


def _events_flow(stack: Stack, watching: str) -> None:
    """Flower misses what happens before it has subscribed; so wait until it has seen a first drain, and its counts."""
    with Producer(stack.redis_url) as producer:
        producer.send("support", RoomMessage("warm", "up"))
    stack.wait_for(1)
    wait_until(lambda: _count(_drains(watching), "delivered") == 1, "Flower to see the first drain", 20)
