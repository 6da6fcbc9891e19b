"""The end of `pushlane callback`: requests in flight end first, and no policy keeps it."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
from support.callback import C2C, NOBODY, Callback, c2c, callback, moderation
from support.own_policies import MODULE, python_path
from support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.long
GRACE_S = 12.0


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_lets_requests_end_and_is_exit_0(tmp_path: Path, redis_url: str, workers: int) -> None:
    """What is in flight gets its own verdict."""
    (tmp_path / "theirs.py").write_text(MODULE)
    settings = {**moderation(tmp_path, policies="theirs:Slow"), "PYTHONPATH": python_path(tmp_path)}
    with callback(tmp_path, redis_url, settings, workers=workers) as running, ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask_once, running, number) for number in range(4)]
        wait_until(lambda: len(list(tmp_path.glob("asked-*"))) == 4, "the policy to be asked")
        running.process.send_signal(signal.SIGTERM)
        assert [one.result()["ErrorCode"] for one in asked] == [120001] * 4
        assert running.process.wait(GRACE_S) == 0
        assert "Traceback" not in running.log.read_text()
        with pytest.raises(httpx.ConnectError):
            ask_once(running, 9)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_policy_that_hangs_does_not_keep_the_process_from_its_end(
    tmp_path: Path, redis_url: str, workers: int
) -> None:
    """It is ended with its process."""
    (tmp_path / "theirs.py").write_text(MODULE)
    settings = {**moderation(tmp_path, policies="theirs:Hangs"), "PYTHONPATH": python_path(tmp_path)}
    with callback(tmp_path, redis_url, settings, workers=workers) as running, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask_once, running, 1)
        wait_until(lambda: list(tmp_path.glob("asked-*")), "the policy to be asked")
        running.process.send_signal(signal.SIGTERM)
        assert asked.result()["ErrorCode"] == 0
        assert running.process.wait(GRACE_S) == 0
        assert "Traceback" not in running.log.read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path, workers: int) -> None:
    """As every command."""
    with callback(tmp_path, NOBODY, moderation(tmp_path), workers=workers) as running:
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(GRACE_S) in {0, 130}
        assert "Traceback" not in running.log.read_text()


def ask_once(running: Callback, number: int) -> dict[str, object]:
    """One question on a connection of its own."""
    with httpx.Client(timeout=10) as client:
        return running.ask(client, c2c(number), command=C2C)
