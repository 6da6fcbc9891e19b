"""A command in a real terminal, whose screen a test reads while it runs."""

import os
import re
import signal
import subprocess
import termios
from typing import Self

from support.processes import environment, installed

_HOME = "\x1b[H"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LEAVE = "\x1b[?1049l"
"""What gives the user the screen back that was there before."""


class Terminal:
    """``pushlane`` with these arguments in a terminal of this size, as a context manager that kills it at the end."""

    def __init__(self, *arguments: str, columns: int = 80, lines: int = 24, **settings: str) -> None:
        self._ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (lines, columns))
        env = {name: value for name, value in environment().items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
        env |= {"TERM": "xterm-256color", **settings}
        words = [installed("pushlane"), *arguments]
        self._process = subprocess.Popen(
            words, env=env, cwd="/", stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        os.set_blocking(self._ours, False)
        self.raw = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def resize(self, columns: int, lines: int) -> None:
        """As a user drags the window's corner."""
        termios.tcsetwinsize(self._ours, (lines, columns))

    def shown(self) -> list[str]:
        """The lines of the last screen that is complete."""
        self._read()
        screens = self.raw.split(_HOME)
        return _lines(screens[-2] if len(screens) > 2 else "")

    def interrupt(self) -> tuple[int, list[str]]:
        """Ctrl-C: the exit code, and what stays on the screen."""
        self._process.send_signal(signal.SIGINT)
        return self._end()

    def terminate(self) -> tuple[int, list[str]]:
        """The same with SIGTERM."""
        self._process.terminate()
        return self._end()

    def _end(self) -> tuple[int, list[str]]:
        code = self._process.wait(30)
        self._read()
        before, left, after = self.raw.rpartition(_LEAVE)
        assert left, self.raw
        assert _LEAVE not in before
        return code, _lines(after)

    def _read(self) -> None:
        try:
            while data := os.read(self._ours, 65536):
                self.raw += data.decode()
        except OSError:  # nothing to read now, or nobody has the other end any more
            pass


def _lines(screen: str) -> list[str]:
    return [line.rstrip() for line in _ESCAPES.sub("", screen).replace("\r", "").split("\n") if line.strip()]
