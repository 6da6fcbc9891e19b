"""The heartbeat of a real worker: what makes it stop, and what does not."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stack import FakeApi, Stack, Worker, channel_settings
from support.waiting import wait_until

from pushlane import Producer, RoomMessage
from pushlane_worker.heartbeat import LATE_S


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The worker's heartbeat."""
    return tmp_path / "heartbeat"


@pytest.fixture
def worker(redis_url: str, api: FakeApi, tmp_path: Path, file: Path, producer: Producer) -> Iterator[Worker]:
    """A worker with one pool process, which has pushed a message."""
    settings = {**channel_settings(api.url), "PUSHLANE_HEARTBEAT_FILE": str(file)}
    stack = Stack(redis_url, api, tmp_path, settings)
    worker = stack.worker("-c", "1").ready()
    producer.send("support", RoomMessage("r", "hello"))
    stack.wait_for(1)
    yield worker
    stack.close()


def beats(file: Path) -> None:
    """Waits for another beat."""
    last = file.stat().st_mtime_ns
    wait_until(lambda: file.stat().st_mtime_ns > last, "a heartbeat")


def child_of(file: Path) -> int:
    """The pid of the pool process that has a file."""
    wait_until(lambda: list(file.parent.glob("heartbeat.*")), "the heartbeat of the pool process")
    (own,) = file.parent.glob("heartbeat.*")
    return int(own.suffix[1:])


def test_a_frozen_pool_process_stops_the_heartbeat(worker: Worker, file: Path) -> None:
    """It goes on with the process."""
    beats(file)
    child = child_of(file)
    assert child != worker.process.pid
    os.kill(child, signal.SIGSTOP)
    try:
        late = time.time() - LATE_S - 1
        os.utime(Path(f"{file}.{child}"), (late, late))  # as if it had been frozen for that long

        def stands_still() -> bool:
            return time.time() - file.stat().st_mtime > 3

        wait_until(stands_still, "the heartbeat to stop")
    finally:
        os.kill(child, signal.SIGCONT)
    beats(file)


@pytest.mark.long
def test_a_killed_pool_process_does_not(worker: Worker, file: Path) -> None:
    """Celery starts another one, and the file of the dead one goes."""
    child = child_of(file)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    wait_until(lambda: not Path(f"{file}.{child}").exists(), "its file to go")
    beats(file)
    assert worker.process.poll() is None


@pytest.mark.long
def test_a_frozen_worker_stops_its_heartbeat(worker: Worker, file: Path) -> None:
    """The main process, with the dispatcher in it."""
    beats(file)
    worker.process.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: time.time() - file.stat().st_mtime > 3, "the heartbeat to stop")
    finally:
        worker.process.send_signal(signal.SIGCONT)
    beats(file)
