"""Processes for other people's code begin and end with the one that needs them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.policy_pool import children
from support.waiting import wait_until

from pushlane.callback.moderation.policy_pool import PolicyPool
from pushlane.callback.moderation.policy_process import PolicyProcess
from pushlane.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("policies", "routing", "problem"),
    [
        (["own_code:Does", "own_code:Nobody"], None, "POLICIES: own_code:Nobody cannot be imported: AttributeError"),
        (["own_code:nothing"], None, "POLICIES: own_code:nothing must have a name"),
        ([], "own_code:Does", "ROUTING: own_code:Does must be a function"),
        (["leaves:Policy"], None, "POLICIES: the process that loads them has ended"),
    ],
)
async def test_what_can_not_be_loaded_ends_the_start(policies: list[str], routing: str | None, problem: str) -> None:
    """With the setting's name, and no process left behind."""
    with pytest.raises(SettingsError, match=problem):
        async with PolicyPool(policies, routing, 2):
            pass
    assert children(os.getpid()) == []


async def test_without_code_of_ones_own_there_is_no_process() -> None:
    """Most need none."""
    async with PolicyPool([], None, 4):
        assert children(os.getpid()) == []


@pytest.mark.parametrize("steps", range(12))
async def test_a_start_that_is_cancelled_leaves_no_process(steps: int) -> None:
    """Wherever it was: a callback that ends, or a process that cannot be loaded, cancels the other starts."""
    starting = asyncio.create_task(PolicyProcess.start())
    for _ in range(steps):
        await asyncio.sleep(0)
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await (await starting).aclose()
    assert not children(os.getpid())


@pytest.mark.parametrize("text", ["nothing", "burns", "sleeps"])
def test_processes_end_with_the_one_that_started_them(tmp_path: Path, text: str) -> None:
    """Also in the middle of a loop without end, when that one is killed."""
    script = tmp_path / "starts.py"
    script.write_text(STARTS, encoding="utf-8")
    path = [str(tmp_path), *sys.path]
    words = [sys.executable, str(script), json.dumps(path), text]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"asked\n"
        started = children(parent.pid)
        assert len(started) == 2
        parent.kill()
    wait_until(lambda: not any(map(_runs, started)), "them to end")


STARTS = """
import asyncio, json, sys, time
sys.path[:] = json.loads(sys.argv[1])
from support.policy_pool import asking
from pushlane.callback.moderation.policy_pool import PolicyPool
from pushlane.callback.moderation.policy_process import PolicyProcess

async def main():
    async with PolicyPool(["own_code:Does"], None, 2) as processes:
        (policy,) = processes.chain([""])
        asked = [asyncio.create_task(policy.ask(asking(sys.argv[2]), time.monotonic() + 60)) for _ in range(2)]
        await asyncio.wait(asked, timeout=0.2)
        print("asked", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, signal.Signals(0))
    except (ProcessLookupError, ValueError):
        return False
    return True
