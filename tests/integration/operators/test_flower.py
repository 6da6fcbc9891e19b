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


@pytest.mark.long
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
def test_a_drain_has_the_state_that_a_celery_user_expects(stack: Stack, watching: str) -> None:
    """Delivered after retries: SUCCESS. Nothing delivered: RETRY. A dead letter: FAILURE, counted once."""
    stack.worker("-c", "1").ready()
    _events_flow(stack, watching)
    with Producer(stack.redis_url) as producer:
        stack.api.control(down=503)
        producer.send("support", RoomMessage("r1", "hello"))
        retried = wait_until(lambda: _in_state(watching, "RETRY"), "a drain in state RETRY")[0]
        assert re.search(r"PushesPostponed: support: \d+ failed \(HTTP 503.*\); next try in ", retried["exception"])
        assert retried["retries"] == _count([retried], "failed") > 0
        stack.api.control(down=None)
        stack.wait_for(2)
        stack.api.control(reject_text="BAD")
        producer.send("support", RoomMessage("r2", "BAD"))
        failed = wait_until(lambda: _in_state(watching, "FAILURE"), "a drain in state FAILURE")[0]
    assert re.search(
        r"MessagesDeadLettered: support: 1 of \d+ messages were dead-lettered: HTTP 400", failed["exception"]
    )
    assert _count([failed], "dead_lettered") == 1
    assert failed["uuid"].startswith("support-"), "the channel is seen without opening the task"
    assert _worker_counts(watching)["task-failed"] == 1


def test_a_drain_that_delivers_after_a_failure_is_a_success(stack: Stack, watching: str) -> None:
    """What was tried again meanwhile is in its counts."""
    stack.worker("-c", "1").ready()
    _events_flow(stack, watching)
    stack.api.control(fail={"rate": 0.5})
    with Producer(stack.redis_url) as producer:
        producer.send_many("support", [RoomMessage(f"r{n}", "hello") for n in range(50)])
    stack.wait_for(51)
    wait_until(lambda: _count(_drains(watching), "delivered") == 51, "Flower to have the counts")
    mixed = [drain for drain in _in_state(watching, "SUCCESS") if _count([drain], "failed")]
    assert mixed
    assert all(drain["retries"] == _count([drain], "failed") for drain in mixed)


def _in_state(watching: str, state: str) -> list[dict[str, Any]]:
    return [drain for drain in _drains(watching) if drain["state"] == state]


def _worker_counts(watching: str) -> dict[str, int]:
    """What the page of workers counts, by kind of event, of the one worker there is."""
    with urllib.request.urlopen(f"{watching}/workers?json=1") as answer:  # noqa: S310 # loopback
        (counts,) = json.loads(answer.read())["data"]
    return dict(counts)


def _events_flow(stack: Stack, watching: str) -> None:
    """Flower misses what happens before it has subscribed; so wait until it has seen a first drain, and its counts."""
    with Producer(stack.redis_url) as producer:
        producer.send("support", RoomMessage("warm", "up"))
    stack.wait_for(1)
    wait_until(lambda: _count(_drains(watching), "delivered") == 1, "Flower to see the first drain", 20)
