"""Commands as a user starts them: separate processes out of the environment that runs the tests."""

import contextlib
import os
import signal
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

STOP_TIMEOUT_S = 30


def installed(command: str) -> str:
    """The path of a command in the environment that runs the tests."""
    return str(Path(sysconfig.get_path("scripts")) / command)


brokers: Final[dict[str, str]] = {}
"""The broker beside each address that cannot be one itself: a cluster's."""


def broker_of(redis_url: str) -> str:
    """The broker beside the queue at this address."""
    return brokers.get(redis_url, redis_url)


def addresses(redis_url: str) -> dict[str, str]:
    """The settings of the queue at this address and of its broker."""
    return {"PUSHLANE_REDIS_URL": redis_url, "PUSHLANE_BROKER_URL": broker_of(redis_url)}


def environment(**settings: str) -> dict[str, str]:
    """This process's environment, without a developer's own settings of ours, Flower or OpenTelemetry, plus these."""
    if (url := settings.get("PUSHLANE_REDIS_URL")) in brokers:
        settings = {**addresses(url), **settings}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PUSHLANE_", "FLOWER_", "OTEL_"))}
    return kept | settings


@contextlib.contextmanager
def running(
    words: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path, patient: bool = True
) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a process in a group of its own, its output in ``log``; ended with SIGTERM, then SIGKILL.

    One that is not ``patient`` is killed at once: a Celery worker takes 3 s to stop, which few tests are about.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, process_group=0
        )
    try:
        yield process
    finally:
        if patient:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.terminate()
                process.wait(STOP_TIMEOUT_S)
        # Also what it left behind: a pool's children outlive a killed parent.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
