"""A module of an operator's policies, and where a process finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.processes import environment

if TYPE_CHECKING:
    from pathlib import Path


MODULE = """
import asyncio, pathlib, time
from pushlane.callback import Verdict

class Hangs:
    name = "hangs"
    def judge(self, message):
        pathlib.Path(f"asked-{message.key}").touch()
        time.sleep(3600)

class Slow:
    name = "slow"
    async def judge(self, message):
        pathlib.Path(f"asked-{message.key}").touch()
        await asyncio.sleep(0.5)
        return Verdict.forbid(code=120001, text="slow")

class Nameless:
    def judge(self, message): return None
"""


def python_path(folder: Path) -> str:
    """Where a process finds modules: as here, and in the folder."""
    return ":".join([str(folder), *environment().get("PYTHONPATH", "").split(":")]).strip(":")
