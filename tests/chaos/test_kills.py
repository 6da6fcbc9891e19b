"""A worker that is killed, or told to stop, in mid-push."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from support.stack import Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Producer, RoomMessage

ROOMS = 300
MESSAGES = 3000
LEASE_S = 10.0
UNANSWERED = 20


@pytest.fixture
def stack(redis_url: str, tmp_path: Path) -> Iterator[Stack]:
    """An API that takes 500 ms to answer, and short leases."""
    with fake_api(latency_s=0.5) as api:
        stack = Stack(redis_url, api, tmp_path, {**channel_settings(api.url), **_SETTINGS})
        yield stack
        stack.close()


_SETTINGS = {"PUSHLANE_LEASE_S": str(LEASE_S), "PUSHLANE_PUSH_DEADLINE_S": "3"}


def _enqueue(stack: Stack) -> None:
    with Producer(stack.redis_url) as producer:
        producer.send_many("support", [RoomMessage(f"r{n % ROOMS}", f"hello #{n + 1}") for n in range(MESSAGES)])


def _wait_for_unanswered(stack: Stack) -> None:
    wait_until(lambda: stack.record().in_flight >= UNANSWERED, f"{UNANSWERED} unanswered pushes")


def _unknown(client: Redis) -> list[list[str]]:
    """The message ids of each listed push."""
    entries: Any = client.xrange("pushlane:1:{support}:unknown")
    return sorted(sorted(fields[b"message_ids"].decode().split(",")) for _, fields in entries)


def _leased(client: Redis) -> list[list[str]]:
    """The message ids of each lease."""
    claims: Any = client.hvals("pushlane:1:{support}:claims")
    return sorted(sorted(claim.split(b" ")[3].decode().split(",")) for claim in claims)


@pytest.mark.timeout(120)
def test_a_killed_workers_pushes_are_listed_and_everything_arrives_in_order(stack: Stack, redis: Redis) -> None:
    """SIGKILL in mid-push: nothing is lost, each room keeps its order, each batch in flight is listed as unknown."""
    worker = stack.worker("-c", "1").ready()
    _enqueue(stack)
    _wait_for_unanswered(stack)
    worker.kill_group(signal.SIGKILL)
    leased = _leased(redis)
    assert len(leased) >= UNANSWERED

    stack.worker("-c", "1").ready()
    wait_until(lambda: stack.depth() == 0, "everything to be settled", 3 * LEASE_S)
    summary = stack.record()
    assert (summary.distinct, summary.order_breaks) == (MESSAGES, 0)
    assert _unknown(redis) == leased


@pytest.mark.timeout(120)
def test_a_sigterm_to_the_whole_group_cuts_no_push(stack: Stack, redis: Redis) -> None:
    """SIGTERM to parent and children at once: pushes in flight are settled, the rest is handed back, exit 0."""
    worker = stack.worker("-c", "1").ready()
    _enqueue(stack)
    _wait_for_unanswered(stack)
    worker.kill_group(signal.SIGTERM)
    assert worker.process.wait(30) == 0, worker.log.read_text()
    assert stack.leases() == 0

    stack.worker("-c", "1").ready()
    wait_until(lambda: stack.record().distinct == MESSAGES, "everything at the API", 30)
    summary = stack.record()
    assert (summary.duplicates, summary.order_breaks) == (0, 0)
    assert _unknown(redis) == []
