"""A file whose age says whether a worker works, so that a health check need not start a process that asks it.

::

    loop thread of each pool process ──touches──▶ FILE.<pid>
                                                      │ is none of them late?
    dispatcher of the worker ─────────────────────────┴──touches──▶ FILE, once a second

FILE grows old when the dispatcher has died or is stuck, and when any pool process is: Celery replaces processes that
end, but not frozen ones. A process without a loop thread has not drained yet, and is not watched. Redis being away
changes nothing, since a restart would not help.
"""

import asyncio
import contextlib
import glob
import os
import time
from collections.abc import Iterator
from pathlib import Path

from pushlane.errors import SettingsError

BEAT_S = 1.0
LATE_S = 10.0


class Heartbeat:
    """The heartbeat of one worker."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def begin(self) -> None:
        """Makes the file, and removes what the processes of an earlier worker left.

        Raises:
            SettingsError: The file cannot be written.
        """
        try:
            for file, _ in self._of_processes():
                file.unlink(missing_ok=True)
            self._file.touch()
        except OSError as error:
            problem = f"{self._file} cannot be written: {error.strerror}"
            raise SettingsError("PUSHLANE_HEARTBEAT_FILE", problem) from None

    def beat(self) -> None:
        """Touches the file, unless a process is late. A file that cannot be touched grows old, which says enough."""
        with contextlib.suppress(OSError):
            if not [file for file, pid in self._of_processes() if _is_late(file, pid)]:
                self._file.touch()

    def follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """Touches this process's own file for as long as the loop runs. Call it in the loop."""
        with contextlib.suppress(OSError):
            Path(f"{self._file}.{os.getpid()}").touch()
        loop.call_later(BEAT_S, self.follow, loop)

    def _of_processes(self) -> Iterator[tuple[Path, int]]:
        for file in self._file.parent.glob(f"{glob.escape(self._file.name)}.*"):
            if (pid := file.suffix.removeprefix(".")).isdecimal():
                yield file, int(pid)


def _is_late(file: Path, pid: int) -> bool:
    """Whether a process that is there has not touched its file; removes the file of one that is gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        file.unlink(missing_ok=True)
        return False
    return time.time() - file.stat().st_mtime > LATE_S
