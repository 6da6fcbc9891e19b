"""The heartbeat file is touched while all processes of a worker touch theirs, and not when one of them hangs."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.environment import CHANNEL, ROOT, Tell
from support.waiting import wait_until

from pushlane.errors import SettingsError
from pushlane_worker.dispatch.supervisor import Supervisor
from pushlane_worker.drains.loop_thread import LoopThread
from pushlane_worker.heartbeat import LATE_S, Heartbeat

LONG_AGO = time.time() - 3600


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The worker's file, last touched long ago."""
    file = tmp_path / "heart.beat"
    touch(file)
    return file


def touch(file: Path, at: float = LONG_AGO) -> None:
    """As if something had touched it then."""
    file.touch()
    os.utime(file, (at, at))


def is_touched(file: Path) -> bool:
    """Since ``LONG_AGO``."""
    return file.stat().st_mtime > LONG_AGO + 1


@pytest.fixture
def ended() -> int:
    """The pid of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    process.wait()
    return process.pid


def test_a_worker_without_drains_beats(file: Path) -> None:
    """None of its processes has a loop thread yet."""
    Heartbeat(file).beat()
    assert is_touched(file)


@pytest.mark.parametrize(("late_s", "well"), [(LATE_S - 2, True), (LATE_S + 2, False)])
def test_one_process_that_is_late_stops_it(file: Path, late_s: float, well: bool) -> None:  # noqa: FBT001 # parametrized
    """Celery replaces a process that ends, but not one that is frozen."""
    touch(Path(f"{file}.{os.getpid()}"), time.time() - late_s)
    touch(Path(f"{file}.{os.getppid()}"), time.time())
    Heartbeat(file).beat()
    assert is_touched(file) is well


def test_a_process_that_is_gone_does_not(file: Path, ended: int) -> None:
    """Its file goes too, so that another process of the same pid starts anew."""
    left = Path(f"{file}.{ended}")
    touch(left)
    Heartbeat(file).beat()
    assert is_touched(file)
    assert not left.exists()


def test_a_new_worker_forgets_an_earlier_one(file: Path) -> None:
    """Whose pids may belong to other programs by now; what is not a heartbeat stays."""
    left, other = Path(f"{file}.1"), Path(f"{file}.old")
    touch(left)
    touch(other)
    Heartbeat(file).begin()
    assert (left.exists(), other.exists(), is_touched(file)) == (False, True, True)


def test_a_file_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    """Else the worker would work and look dead."""
    file = tmp_path / "missing" / "file"
    with pytest.raises(SettingsError) as caught:
        Heartbeat(file).begin()
    assert str(caught.value) == f"PUSHLANE_HEARTBEAT_FILE: {file} cannot be written: No such file or directory"


def test_a_disk_that_fails_later_breaks_nothing(tmp_path: Path) -> None:
    """The file's age says it."""
    Heartbeat(tmp_path / "missing" / "file").beat()


@pytest.fixture
def loop(file: Path, tell: Tell) -> Iterator[LoopThread]:
    """The loop thread of a pool process whose worker has a heartbeat."""
    loop = LoopThread(tell.all({**ROOT, **CHANNEL, "PUSHLANE_HEARTBEAT_FILE": str(file)}))
    yield loop
    loop.close()


def test_a_loop_thread_touches_its_file_until_it_is_stuck(file: Path, loop: LoopThread) -> None:
    """It asks nothing of Redis, which is away here."""
    own = Path(f"{file}.{os.getpid()}")
    wait_until(own.exists, "the first touch")
    touch(own)
    wait_until(lambda: is_touched(own), "the next one")
    stuck, free = threading.Event(), threading.Event()

    def hold() -> None:
        stuck.set()
        free.wait(10)

    loop._loop.call_soon_threadsafe(hold)
    stuck.wait(10)
    touch(own)
    try:
        Heartbeat(file).beat()
        assert not is_touched(own)
        assert not is_touched(file)
    finally:
        free.set()


@pytest.mark.parametrize("fails", [False, True], ids=["hangs", "fails"])
async def test_a_step_that_neither_fails_nor_succeeds_is_stuck(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:  # noqa: FBT001 # parametrized
    """One that fails again and again, as all do while Redis is away, is not."""
    monkeypatch.setattr("pushlane_worker.dispatch.supervisor.PAUSE_AFTER_ERROR_S", 3600)
    supervisor, tried = Supervisor(), asyncio.Event()

    async def step() -> None:
        tried.set()
        if fails:
            raise ConnectionError
        await asyncio.Event().wait()

    kept = asyncio.create_task(supervisor.keep("bell", step))
    await tried.wait()
    await asyncio.sleep(0)
    assert not supervisor.is_stuck()
    monkeypatch.setattr("pushlane_worker.dispatch.supervisor.STUCK_S", -1)
    assert supervisor.is_stuck() is not fails
    kept.cancel()
    with pytest.raises(asyncio.CancelledError):
        await kept
    assert not supervisor.is_stuck()
