"""Scaling as a Celery user does it: more pool processes, more workers, autoscale."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stack import FakeApi, Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Producer, RoomMessage

pytestmark = pytest.mark.alone
IN_FLIGHT = 16
ROOMS = 1000
SPELL_S = 2.5


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """An API that takes 100 ms to answer."""
    with fake_api(latency_s=0.1) as api:
        yield api


@pytest.fixture
def stack(redis_url: str, api: FakeApi, tmp_path: Path) -> Iterator[Stack]:
    """One channel, 16 pushes in flight a pool process."""
    settings = channel_settings(api.url) | {"PUSHLANE_MAX_IN_FLIGHT": str(IN_FLIGHT), "AUTOSCALE_KEEPALIVE": "2"}
    stack = Stack(redis_url, api, tmp_path, settings)
    yield stack
    stack.close()


def _backlog(stack: Stack, per_room: int) -> int:
    with Producer(stack.redis_url) as producer:
        for wave in range(per_room):
            producer.send_many("support", [RoomMessage(f"r{n}", f"hello #{wave + 1}") for n in range(ROOMS)])
    return per_room * ROOMS


def _rate(stack: Stack, processes: int) -> float:
    """Pushes a second of this many processes: the best of two spells, for a busy machine can only slow them."""
    wait_until(lambda: stack.record().in_flight >= IN_FLIGHT * processes - 2, "all places to be taken", 20)
    return max(_spell(stack) for _ in range(2))


def _spell(stack: Stack) -> float:
    before, started = stack.record().pushes, time.monotonic()
    wait_until(lambda: time.monotonic() - started > SPELL_S, "the time to pass")
    return (stack.record().pushes - before) / (time.monotonic() - started)


@pytest.mark.long
@pytest.mark.timeout(120)
def test_processes_and_workers_add_up(stack: Stack) -> None:
    """At 100 ms latency `-c 2` gives at least 1.9 times `-c 1`, and a second worker adds as much as the first gives."""
    first = stack.worker("-c", "1").ready()
    _backlog(stack, 55)
    one = _rate(stack, 1)
    stack.worker("-c", "1").ready()
    two_workers = _rate(stack, 2)
    assert first.stop() == 0
    stack.close()
    stack.worker("-c", "2").ready()
    two_processes = _rate(stack, 2)
    assert two_workers >= 1.9 * one, f"one worker {one:.0f} pushes/s, two workers {two_workers:.0f}"
    assert two_processes >= 1.9 * one, f"-c 1 {one:.0f} pushes/s, -c 2 {two_processes:.0f}"


@pytest.mark.long
@pytest.mark.timeout(120)
def test_autoscale_grows_under_a_backlog_and_shrinks_again(stack: Stack) -> None:
    """`--autoscale=4,1` starts processes while there is a backlog, ends them after it, and nothing is pushed twice."""
    worker = stack.worker("--autoscale=4,1").ready()
    assert worker.children() == 1
    messages = _backlog(stack, 20)
    wait_until(lambda: worker.children() == 4, "the pool to grow", 20)
    summary = stack.wait_for(messages, 60)
    assert (summary.duplicates, summary.order_breaks) == (0, 0)
    wait_until(lambda: worker.children() == 1, "the pool to shrink", 30)
    assert stack.leases() == 0
    _backlog(stack, 1)
    assert stack.wait_for(messages + ROOMS).accepted == messages + ROOMS
