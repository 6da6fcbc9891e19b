"""The workers of a storm, and their supervisor: who ends is started again, and who ended by himself is written down."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.processes import installed

from pushlane_worker.child_process import tied_to_parent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chaos.storm.lines import Lines

STOP_S: Final = 60.0
"""How long a worker may take to end when it is told to: its soft shutdown is 15 s, and the machine is busy."""


@dataclass(slots=True)
class _Run:
    process: subprocess.Popen[bytes]
    number: int
    asked: str = ""
    asked_at: float = 0.0


class Worker:
    """A ``pushlane worker -c 2`` in a process group of its own; each of its runs has a log of its own."""

    def __init__(self, name: str, environment: Mapping[str, str], folder: Path, lines: Lines) -> None:
        self.name = name
        self._environment = dict(environment)
        self._folder = folder
        self._lines = lines
        self._run: _Run | None = None
        self._runs = 0

    def start(self) -> None:
        """Starts a run."""
        words = [installed("pushlane"), "worker", "-c", "2", "-n", f"{self.name}@storm"]
        with self._log(self._runs).open("wb") as log:
            process = subprocess.Popen(
                tied_to_parent(words),
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        self._run = _Run(process, self._runs)
        self._runs += 1

    def supervise(self, *, again: bool = True) -> bool:
        """Whether it runs. One that has ended is written down and started again, as long as that is wanted."""
        run = self._run
        if run is None:
            return False
        code = run.process.poll()
        if code is None:
            if run.asked == "terminate" and time.monotonic() - run.asked_at > STOP_S:
                self._lines.write("overdue", worker=self.name, run=run.number)
                self.kill()
            return True
        self._signal(signal.SIGKILL)  # a pool's children outlive a killed parent
        ready = self._is_ready(run)
        self._lines.write("ended", worker=self.name, run=run.number, code=code, asked=run.asked, ready=ready)
        self._run = None
        if again:
            self.start()
        return again

    def kill(self) -> None:
        """SIGKILL to it and its children at once."""
        self._ask("kill")
        self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM to it alone."""
        if self._run is not None and not self._run.asked:
            self._ask("terminate")
            self._run.process.terminate()

    def freeze(self) -> None:
        """SIGSTOP to it and its children."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT to it and its children."""
        self._signal(signal.SIGCONT)

    def kill_child(self, number: int) -> bool:
        """SIGKILL to one of its pool's processes; whether there was one.

        Not before it is ready: Celery takes a pool that loses a process by then for one that cannot start, and ends.
        """
        children = self._children() if self.is_ready else []
        if not children:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(children[number % len(children)], signal.SIGKILL)
        return True

    @property
    def is_ready(self) -> bool:
        """Whether it runs and consumes."""
        return self._run is not None and self._is_ready(self._run)

    def _is_ready(self, run: _Run) -> bool:
        return " ready." in self._log(run.number).read_text(errors="replace")

    def _log(self, number: int) -> Path:
        return self._folder / f"{self.name}.{number}.log"

    def _ask(self, what: str) -> None:
        if self._run is not None:
            self._run.asked, self._run.asked_at = what, time.monotonic()

    def _signal(self, number: signal.Signals) -> None:
        if self._run is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._run.process.pid, number)

    def _children(self) -> list[int]:
        if self._run is None:
            return []
        found: list[int] = []
        with contextlib.suppress(FileNotFoundError):
            for task in Path(f"/proc/{self._run.process.pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        return sorted(found)
