"""The ``pushlane`` command as a user types it: a process of its own, in a folder without a configuration file."""

import functools
import os
import subprocess
import termios
from collections.abc import Mapping, Sequence
from tempfile import TemporaryFile

from support.processes import environment, installed
from support.warm_processes import Warm

TIMEOUT_S = 120.0
EMPTY_FOLDER = "/"
PIPE_BYTES = 64 * 1024
"""What fits into a pipe before anybody reads it, Linux's default."""
_COMMANDS = ("blocked", "cancel", "channel", "check", "dead", "decide", "decisions", "message", "send", "status")


def pushlane(
    *arguments: str,
    redis_url: str | None = None,
    settings: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout_s: float = TIMEOUT_S,
) -> "Ended":
    """Runs the command to its end, with these variables and the address of a queue in its environment."""
    address = {} if redis_url is None else {"PUSHLANE_REDIS_URL": redis_url}
    env = environment(**address, **(settings or {}))
    words = [installed("pushlane"), *arguments]
    if len(stdin) <= PIPE_BYTES and warm_commands().suits(env):
        return Ended(_run_warm(words, env, stdin, timeout_s))
    return Ended(
        subprocess.run(
            words, input=stdin, env=env, cwd=EMPTY_FOLDER, capture_output=True, timeout=timeout_s, check=False
        )
    )


@functools.cache
def warm_commands() -> Warm:
    """Where the commands begin that need neither Celery nor a server."""
    return Warm(
        "pushlane_worker.cli:main",
        "pushlane_worker.cli.program",
        "pushlane.operators.actions",
        "pushlane_worker.fake_api",
        *(f"pushlane_worker.cli.{name}" for name in _COMMANDS),
    )


def _run_warm(
    words: Sequence[str], env: Mapping[str, str], stdin: bytes, timeout_s: float
) -> subprocess.CompletedProcess[bytes]:
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "wb") as pipe, TemporaryFile() as out, TemporaryFile() as err:
        streams = [reading, out.fileno(), err.fileno()]
        process = warm_commands().start(words, env=env, cwd=EMPTY_FOLDER, streams=streams)
        pipe.write(stdin)
        pipe.close()
        try:
            code = process.wait(timeout_s)
        finally:
            process.kill()
            process.wait()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), err.read())


class Ended:
    """A command that ended."""

    def __init__(self, process: subprocess.CompletedProcess[bytes]) -> None:
        self.code = process.returncode
        self.out = process.stdout.decode()
        self.err = process.stderr.decode()

    def __repr__(self) -> str:
        return f"exit {self.code}\nstdout: {self.out}\nstderr: {self.err}"

    def ok(self) -> str:
        """What it printed, once it is sure that it did its work without a word on standard error."""
        assert (self.code, self.err) == (0, ""), self
        return self.out

    def refused(self, code: int, *words: str) -> None:
        """It ended with this code, no output, and one line on standard error that has all of these words."""
        assert (self.code, self.out) == (code, ""), self
        assert self.err.startswith("pushlane: "), self
        assert self.err.count("\n") == 1, self
        assert not [word for word in words if word not in self.err], self


def pushlane_in_terminal(*arguments: str, redis_url: str, columns: int = 80) -> str:
    """What the command shows in a terminal of this many columns, once it has done its work."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    try:
        words, env = [installed("pushlane"), *arguments], environment(PUSHLANE_REDIS_URL=redis_url, TERM="xterm")
        with subprocess.Popen(words, env=env, cwd=EMPTY_FOLDER, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            shown = b"".join(iter(lambda: _read(ours), b""))
            assert process.wait(TIMEOUT_S) == 0, shown
    finally:
        os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # nobody has the other end any more
        return b""
