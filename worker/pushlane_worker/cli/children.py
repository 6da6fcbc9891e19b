"""Processes of our own that die with us: the demo's worker, its chat API, Flower.

On Linux the kernel kills them when we die, by whatever that happens (``PR_SET_PDEATHSIG``; Celery's own pool children
ask for the same). The signal comes when the *thread* that started them ends, so start them from the main thread.
Elsewhere only an orderly end of ours ends them.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

STOP_S = 20.0

# Runs in the child in place of a preexec_fn, which may deadlock in a process with threads. The setting survives the
# exec. The parent may have died before it was made, hence the look at its pid after it. 1 is PR_SET_PDEATHSIG.
_DIE_WITH_PARENT = """
import ctypes, os, sys
if ctypes.CDLL(None).prctl(1, 9) or os.getppid() != int(sys.argv[1]):
    sys.exit("could not be tied to its parent process")
os.execv(sys.argv[2], sys.argv[2:])
"""


@contextlib.contextmanager
def child(
    words: Sequence[str], *, env: Mapping[str, str], log: Path, stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a process in a group of its own, so that our Ctrl-C is not its. At the end it is stopped.

    Args:
        words: The program's path and its arguments.
        env: Its whole environment.
        log: Takes what it prints.
        stdout: ``subprocess.PIPE`` when its standard output is read here.
    """
    if sys.platform == "linux":
        words = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *words]
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own programs
            words, env=env, stdin=subprocess.DEVNULL, stdout=stdout or output, stderr=output, process_group=0
        )
    try:
        yield process
    finally:
        _stop(process)


def end_on_sigterm() -> None:
    """Makes SIGTERM and SIGHUP end this process the way Ctrl-C does, so that what it started is stopped."""
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
    # Also what it left behind in its group.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
