"""Redis is killed under busy workers, again and again: they live on, and so does the delivery."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stack import FakeApi, Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Producer, RoomMessage
from pushlane_worker.embedded import EmbeddedServer

pytestmark = pytest.mark.alone
KILLS = 4
ROOMS = 400
BACK_WITHIN_S = 5


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    """One that has its data when it is back."""
    with EmbeddedServer(append_only=True) as server:
        yield server


@pytest.fixture
def slow_api() -> Iterator[FakeApi]:
    """Slow enough that a drain runs at any time."""
    with fake_api(latency_s=0.3) as api:
        yield api


@pytest.mark.long
@pytest.mark.timeout(120)
@pytest.mark.parametrize("pool", [("-c", "1"), ("-c", "2"), ("-c", "4", "-P", "threads")], ids=" ".join)
def test_a_busy_worker_outlives_a_redis_that_is_killed(
    server: EmbeddedServer, slow_api: FakeApi, tmp_path: Path, pool: tuple[str, ...]
) -> None:
    """Four times, each in the middle of a drain; delivery goes on within 5 s of its return."""
    stack = Stack(server.url, slow_api, tmp_path, channel_settings(slow_api.url))
    try:
        worker = stack.worker(*pool).ready()
        with Producer(server.url) as producer:
            for part in range(5):
                producer.send_many("support", [RoomMessage(f"{part} {n}", "hello #1") for n in range(ROOMS)])
        for _ in range(KILLS):
            before = stack.record().accepted
            stack.wait_for(before + 100)
            server.kill()
            time.sleep(1)
            server.start()
            back, had = time.monotonic(), stack.record().accepted
            # What was in flight arrives without Redis.
            wait_until(lambda had=had: stack.record().accepted > had + 64, "delivery to go on", 20)  # type: ignore[misc] # mypy does not infer a lambda's default
            assert worker.process.poll() is None, worker.log.read_text()[-3000:]
            assert time.monotonic() - back < BACK_WITHIN_S
        assert stack.wait_for(5 * ROOMS, 60).distinct == 5 * ROOMS
        assert "Unrecoverable error" not in worker.log.read_text()
    finally:
        stack.close()
