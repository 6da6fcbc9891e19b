"""Processes without the start of Python: a program that has imported what they need forks one for each.

Importing costs a command half a second of CPU, a callback and a worker more than one, and a run of the tests starts
hundreds. Everything else is as a user has it: a process of its own with its own environment, folder, arguments,
streams, process group and exit code.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.warm_program import NUMBER_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PLAIN: Final = ("PUSHLANE_", "OTEL_", "PYTEST_")
"""What a variable begins with that nothing reads while it is imported, unlike Python's own."""


class WarmProcess:
    """A command that was forked, with what tests need of ``subprocess.Popen``."""

    def __init__(self, answers: socket.socket) -> None:
        self._answers = answers
        self.pid = int(answers.recv(NUMBER_BYTES))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code once it has ended; negative is the signal that ended it."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            self._answers.settimeout(timeout)
            try:
                self.returncode = int(self._answers.recv(NUMBER_BYTES))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0) from None
            self._answers.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends it, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Warm:
    """The program that forks, seen from the tests.

    Args:
        begin: The function of the installed script, as ``module:function``.
        prepared: Modules that the program imports first, and functions that it calls whose results stay the same. None
            of them may read the environment.
    """

    def __init__(self, begin: str, *prepared: str) -> None:
        self._environment = dict(os.environ)
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # It ends when its standard input does, so also when this process is killed.
            words = [sys.executable, "-m", "support.warm_program", begin, *prepared]
            self._process = subprocess.Popen(words, stdin=theirs.fileno(), cwd=Path(__file__).parent.parent)

    def suits(self, env: Mapping[str, str]) -> bool:
        """Whether a process with this environment may begin here."""
        names = {*env, *self._environment}
        changed = (name for name in names if env.get(name) != self._environment.get(name))
        return all(name.startswith(_PLAIN) for name in changed)

    def start(self, words: Sequence[str], *, env: Mapping[str, str], cwd: str, streams: Sequence[int]) -> WarmProcess:
        """Starts the script of the first word. The three streams stay the caller's to close."""
        answers, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            request = json.dumps([list(words), dict(env), cwd]).encode()
            socket.send_fds(self._requests, [request], [*streams, theirs.fileno()])
        return WarmProcess(answers)
