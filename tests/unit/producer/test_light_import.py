"""What a service pays for ``import pushlane``."""

import subprocess
import sys

from support.processes import environment

HEAVY = {"celery", "kombu", "httpx", "aiohttp", "starlette", "pushlane_worker"}


def imported_by(statement: str) -> set[str]:
    """The top-level packages that a fresh interpreter loads for this statement."""
    words = [sys.executable, "-X", "importtime", "-c", statement]
    process = subprocess.run(words, env=environment(), capture_output=True, text=True, check=True)
    lines = [line.rpartition("|")[2].strip() for line in process.stderr.splitlines() if line.startswith("import time:")]
    return {line.partition(".")[0] for line in lines}


def test_importing_the_producer_library_loads_nothing_heavy() -> None:
    """A web service that only enqueues loads neither Celery nor an HTTP client nor a web framework."""
    loaded = imported_by("import pushlane")
    assert {"pushlane", "redis"} <= loaded
    assert not loaded & HEAVY


def test_a_services_tests_load_nothing_heavy_either() -> None:
    """They need a stand-in for Redis, and neither a worker nor a web framework."""
    loaded = imported_by("import pushlane.testing")
    assert {"pushlane", "fakeredis"} <= loaded
    assert not loaded & HEAVY


def test_the_measurement_sees_what_is_loaded() -> None:
    """The test above would notice: the worker's own modules show up."""
    assert "celery" in imported_by("import celery")
