"""Commands as a user starts them: separate processes out of the environment that runs the tests."""

import contextlib
import os
import signal
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from support.warm_processes import Warm

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


class Process(Protocol):
    """A process that tests have started, in whatever way."""

    @property
    def pid(self) -> int:
        """Its id."""

    @property
    def returncode(self) -> int | None:
        """How it ended, once somebody has asked."""

    def poll(self) -> int | None:
        """Its exit code once it has ended; negative is the signal that ended it."""

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its exit code. Raises subprocess.TimeoutExpired."""

    def send_signal(self, sig: int, /) -> None:
        """Sends it, unless the process has ended."""

    def terminate(self) -> None:
        """SIGTERM."""

    def kill(self) -> None:
        """SIGKILL."""


@contextlib.contextmanager
def running(
    words: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    patient: bool = True,
    warm: Warm | None = None,
) -> Iterator[Process]:
    """The command as a process in a group of its own, its output in ``log``; ended with SIGTERM, then SIGKILL.

    One that is not ``patient`` is killed at once: a Celery worker takes 3 s to stop, which few tests are about. It
    begins in ``warm`` if its environment allows that.
    """
    with log.open("wb") as output, Path(os.devnull).open("rb") as nothing:
        process: Process
        if warm is not None and warm.suits(env):
            streams = [nothing.fileno(), output.fileno(), output.fileno()]
            process = warm.start(words, env=env, cwd=str(cwd), streams=streams)
        else:
            process = subprocess.Popen(
                words, env=env, cwd=cwd, stdin=nothing, stdout=output, stderr=output, process_group=0
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
