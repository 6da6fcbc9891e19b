"""Commands without the start of Python: a process that has imported what they need forks one for each.

Importing costs a command half a second of CPU, and a run of the tests starts hundreds. Everything else is as a user
has it: a process of its own with its own environment, folder, arguments, streams and exit code.
"""

import contextlib
import functools
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

PIPE_BYTES = 64 * 1024
"""What fits into a pipe before anybody reads it, Linux's default."""
_REQUEST_BYTES = 128 * 1024
_PID_BYTES = _CODE_BYTES = 32
_IMPORTED = (
    "pushlane_worker.cli.program",
    "pushlane.operators.actions",
    "pushlane_worker.fake_api",
    *(
        f"pushlane_worker.cli.{name}"
        for name in (
            "blocked",
            "cancel",
            "channel",
            "check",
            "dead",
            "decide",
            "decisions",
            "message",
            "send",
            "status",
        )
    ),
)


class WarmCommands:
    """The process that forks, seen from the tests."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # It ends when its standard input does, so also when this process is killed.
            words = [sys.executable, "-m", "support.warm_commands"]
            self._process = subprocess.Popen(words, stdin=theirs.fileno(), cwd=Path(__file__).parent.parent)

    def run(
        self, words: Sequence[str], *, env: Mapping[str, str], cwd: str, stdin: bytes, timeout_s: float
    ) -> "subprocess.CompletedProcess[bytes]":
        """Runs ``pushlane`` with these arguments to its end. ``stdin`` must fit into a pipe.

        Raises:
            TimeoutError: It did not end in time, and was killed.
        """
        assert len(stdin) <= PIPE_BYTES
        answer, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with answer, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            reading, writing = os.pipe()
            with theirs, os.fdopen(reading), os.fdopen(writing, "wb") as pipe:
                request = json.dumps([list(words), dict(env), cwd]).encode()
                streams = [reading, out.fileno(), err.fileno(), theirs.fileno()]
                socket.send_fds(self._requests, [request], streams)
                pipe.write(stdin)
            answer.settimeout(timeout_s)
            code = self._code(answer)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(words, code, out.read(), err.read())

    @staticmethod
    def _code(answer: socket.socket) -> int:
        pid = int(answer.recv(_PID_BYTES))
        try:
            return int(answer.recv(_CODE_BYTES))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise


@functools.cache
def warm_commands() -> WarmCommands:
    """The one that all tests of this process share, started when it is first needed."""
    return WarmCommands()


def _serve(requests: socket.socket) -> None:
    """Forks for each request until there are no more; returns in each fork, as the command that it is to be."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, 4)
        if not request:
            os._exit(0)
        if os.fork() == 0:
            requests.close()
            return _watch(request, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass


def _watch(request: bytes, descriptors: list[int]) -> None:
    """Forks the command and answers with its process id and exit code; returns in the command."""
    *streams, answer = descriptors
    pid = os.fork()
    if pid == 0:
        os.close(answer)
        return _become(streams, *json.loads(request))
    for descriptor in streams:
        os.close(descriptor)
    os.write(answer, str(pid).encode())
    _, status = os.waitpid(pid, 0)
    os.write(answer, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(streams: list[int], words: list[str], env: dict[str, str], cwd: str) -> None:
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = ["pushlane", *words]


def _main() -> None:
    for module in _IMPORTED:
        importlib.import_module(module)
    gc.freeze()  # what is here lives for ever; a fork that collects it would copy each page
    _serve(socket.socket(fileno=os.dup(0)))
    from pushlane_worker.cli import main  # noqa: PLC0415 - as the installed script does, once the command is known

    main()


if __name__ == "__main__":
    _main()
