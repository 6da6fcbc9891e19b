"""Child processes that die with us (``child_process.py``): the demo's worker, its chat API, Flower."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from pushlane_worker.child_process import tied_to_parent

STOP_S = 20.0


@contextlib.contextmanager
def child(
    words: Sequence[str], *, env: Mapping[str, str], log: Path, stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs the command in its own process group, so that Ctrl-C does not reach it, and stops it at the end.

    Its output goes to the file ``log``; with ``stdout=subprocess.PIPE``, the caller reads its standard output.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own programs
            tied_to_parent(words),
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stdout or output,
            stderr=output,
            process_group=0,
        )
    try:
        yield process
    finally:
        _stop(process)


def end_on_sigterm() -> None:
    """Makes SIGTERM and SIGHUP end this process the way Ctrl-C does, so that its children are stopped."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)


def _end(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdout is not None:
        process.stdout.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.terminate()
        process.wait(STOP_S)
    # Also kills what it left behind in its group.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
