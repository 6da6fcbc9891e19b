"""On what a run was made."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.places import ROOT
from benchmarks.redis_server import redis_server

if TYPE_CHECKING:
    from collections.abc import Mapping


def describe(program: str) -> Mapping[str, str | int]:
    """What figures depend on."""
    with redis_server(program) as server:
        redis = server.version()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": _commit(),
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "system": platform.system(),
        "python": platform.python_version(),
        "redis": redis,
    }


def _commit() -> str:
    words = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
