"""What the tests start warm is as a user would have started it."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from support.callback import callback, warm_callbacks
from support.command import pushlane, warm_commands
from support.http_api import KEYS
from support.processes import environment
from support.stack import channel_settings, warm_workers


def test_a_tests_own_environment_is_no_hindrance(redis_url: str) -> None:
    """Or each of hundreds of processes would start cold, which takes a test run twice as long."""
    env = environment(PUSHLANE_REDIS_URL=redis_url, **channel_settings("https://api.example.com"))
    for warm in (warm_commands(), warm_callbacks(), warm_workers()):
        assert warm.suits(env)
        assert not warm.suits(env | {"PYTHONWARNINGS": "error"})


def test_a_warm_process_leads_a_group_and_tells_how_it_ended(redis_url: str, tmp_path: Path) -> None:
    """As one that Python has started does."""
    with callback(tmp_path, redis_url, KEYS) as running:
        process = running.process
        assert os.getpgid(process.pid) == process.pid
        assert Path(f"/proc/{process.pid}/cwd").readlink() == tmp_path
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait(30) == process.returncode == -signal.SIGKILL
    assert pushlane("nosuch").code == 2
