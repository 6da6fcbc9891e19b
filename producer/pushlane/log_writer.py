"""Writes the log from a thread of its own: a reader that stalls (a full pipe) stops the log, and nothing else."""

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
"""How long lines are gathered: a write for each of them would be a tenth of a callback's time."""
MAX_WAITING: Final = 10_000
"""Lines that wait for the reader, one or two MB; further ones are left out."""
WRITE_BYTES: Final = 4096
"""How much a pipe takes in one piece (PIPE_BUF of Linux): no other process's line comes in between."""
CLOSE_S: Final = 1.0


class LogWriter:
    """Takes lines from any thread, and never waits for their reader. A full disk or a closed pipe costs the lines.

    Its thread begins with the first line of a process, also of one that was forked. A process that is killed loses the
    lines of ``GATHER_S``; one that ends by ``os._exit`` those that ``close`` was not called for.

    Args:
        file: The descriptor to write to; None writes nowhere.
        left_out: The line that tells how many were left out.
    """

    def __init__(self, file: int | None, left_out: Callable[[int], str]) -> None:
        self._file = file
        self._tell_left_out = left_out
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """What waits in a process that forks is its own to write, and its thread is not in the child."""
        self._waiting: deque[tuple[Callable[..., str], tuple[object, ...]]] = deque()
        self._left_out = 0
        self._counting = threading.Lock()
        self._wakes = threading.Event()
        self._ends = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, line: Callable[..., str], *facts: object) -> None:
        """Writes ``line(*facts)`` soon, which the thread makes: what is needed for it must not change any more."""
        if len(self._waiting) >= MAX_WAITING:
            with self._counting:
                self._left_out += 1
            return
        if left_out := self._take_left_out():
            self._waiting.append((self._tell_left_out, (left_out,)))
        self._waiting.append((line, facts))
        if not self._wakes.is_set():
            self._wakes.set()
        if self._thread is None:
            self._start()

    def _take_left_out(self) -> int:
        """How many lines are missing here, between what waits and what comes next; one caller alone gets them."""
        if not self._left_out:
            return 0
        with self._counting:
            left_out, self._left_out = self._left_out, 0
        return left_out

    def msg(self, message: str) -> None:
        """Writes this line soon."""
        self.put(str, message)

    debug = info = warning = error = critical = exception = msg

    def close(self) -> None:
        """Writes what waits, for a second at most, and ends the thread; a later line begins another one."""
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
        self._write_all()  # what came during the last write

    def _write_all(self) -> None:
        self._wakes.clear()
        for piece in self._pieces():
            self._write(piece)

    def _pieces(self) -> Iterator[bytes]:
        """What waits, in whole lines of together no more than ``WRITE_BYTES``, but for one that is longer."""
        piece = b""
        for _ in range(len(self._waiting)):
            try:
                make, facts = self._waiting.popleft()
            except IndexError:  # a thread that was closed while its reader stalled has gone on
                break
            line = f"{make(*facts)}\n".encode(errors="backslashreplace")
            if piece and len(piece) + len(line) > WRITE_BYTES:
                yield piece
                piece = b""
            piece += line
        # What still waits is older than what was left out.
        if not self._waiting and (left_out := self._take_left_out()):
            piece += f"{self._tell_left_out(left_out)}\n".encode()
        if piece:
            yield piece

    def _write(self, piece: bytes) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                while piece:
                    piece = piece[os.write(self._file, piece) :]
