"""Writes the log from its own thread: a reader that stalls (a full pipe) holds up the log and nothing else."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GATHER_S: Final = 0.02
"""How long lines are collected: writing each one separately would take a tenth of a callback's time."""
MAX_WAITING: Final = 10_000
"""Lines that may wait for the reader, one or two MB; further ones are left out."""
WRITE_BYTES: Final = 4096
"""How much is written to a pipe in one piece (PIPE_BUF on Linux), with no other process's line in between."""
CLOSE_S: Final = 1.0


class LogWriter:
    """Accepts lines from any thread, and never waits for their reader. A full disk or a closed pipe loses the lines.

    Its thread starts with the first line in a process, also in a forked one. A process that is killed loses the lines
    of the last ``GATHER_S``; so does one that ends with ``os._exit`` without calling ``close``.

    Args:
        file: The descriptor to write to; None discards the lines.
        left_out: Makes the line that reports how many were left out.
    """

    def __init__(self, file: int | None, left_out: Callable[[int], str]) -> None:
        self._file = file
        self._left_out_line = left_out
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Also runs in a forked child: waiting lines are the parent's to write, and the child has no such thread."""
        self._waiting: deque[str] = deque()
        self._left_out = 0
        self._counting = threading.Lock()
        self._wakes = threading.Event()
        self._ends = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def msg(self, message: str) -> None:
        """Writes this line soon."""
        if len(self._waiting) >= MAX_WAITING:
            with self._counting:
                self._left_out += 1
            return
        if left_out := self._take_left_out():
            self._waiting.append(self._left_out_line(left_out))
        self._waiting.append(message)
        if not self._wakes.is_set():
            self._wakes.set()
        if self._thread is None:
            self._start()

    debug = info = warning = error = critical = exception = msg

    def _take_left_out(self) -> int:
        """How many lines are missing between those waiting and the next one; only one caller gets the number."""
        if not self._left_out:
            return 0
        with self._counting:
            left_out, self._left_out = self._left_out, 0
        return left_out

    def close(self) -> None:
        """Writes the waiting lines, for at most a second, and ends the thread; a later line starts another one."""
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._ends.set()
            self._wakes.set()
            thread.join(CLOSE_S)
            atexit.unregister(self.close)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._ends = threading.Event()
                self._thread = threading.Thread(target=self._run, args=(self._ends,), name="pushlane-log", daemon=True)
                self._thread.start()
                atexit.register(self.close)

    def _run(self, ends: threading.Event) -> None:
        while not ends.is_set():
            self._wakes.wait()
            ends.wait(GATHER_S)
            self._write_all()
        self._write_all()  # lines that arrived during the last write

    def _write_all(self) -> None:
        self._wakes.clear()
        for piece in self._pieces():
            self._write(piece)

    def _pieces(self) -> Iterator[bytes]:
        """The waiting lines, in pieces of whole lines up to ``WRITE_BYTES``; a longer line is a piece of its own."""
        piece = b""
        for _ in range(len(self._waiting)):
            try:
                line = f"{self._waiting.popleft()}\n".encode(errors="backslashreplace")
            except IndexError:  # a thread that was closed while its reader stalled is still running
                break
            if piece and len(piece) + len(line) > WRITE_BYTES:
                yield piece
                piece = b""
            piece += line
        # Lines that still wait are older than those left out.
        if not self._waiting and (left_out := self._take_left_out()):
            piece += f"{self._left_out_line(left_out)}\n".encode()
        if piece:
            yield piece

    def _write(self, piece: bytes) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                while piece:
                    piece = piece[os.write(self._file, piece) :]
