"""The program that ``warm_processes`` starts: it imports what commands need, and forks one for each request.

::

    this program ── watcher ── command

The watcher tells the test the command's process id and its exit code. Each dies with the one that forked it.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from types import ModuleType

REQUEST_BYTES = 128 * 1024
NUMBER_BYTES = 32
_PR_SET_PDEATHSIG = 1


def _serve(requests: socket.socket) -> None:
    """Forks for each request until there are no more; returns in each fork, as the command that it is to be."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, REQUEST_BYTES, 4)
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
    _die_with_parent()
    *streams, answer = descriptors
    pid = os.fork()
    if pid == 0:
        _die_with_parent()
        os.close(answer)
        return _become(streams, *json.loads(request))
    for descriptor in streams:
        os.close(descriptor)
    os.setpgid(pid, pid)  # before anybody can send a signal to the group
    os.write(answer, str(pid).encode())
    _, status = os.waitpid(pid, 0)
    os.write(answer, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _become(streams: list[int], words: list[str], env: dict[str, str], cwd: str) -> None:
    with contextlib.suppress(PermissionError):  # the watcher was faster
        os.setpgid(0, 0)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    # As if Python had started the installed script: what multiprocessing starts looks there for its beginning.
    sys.argv, sys.path[0] = words, str(Path(words[0]).parent)
    sys.modules["__main__"] = ModuleType("__main__")
    sys.modules["__main__"].__file__ = words[0]


def main(begin: str, prepared: list[str]) -> None:
    """See ``warm_processes.Warm``."""
    for one in prepared:
        _run(one)
    gc.freeze()  # what is here lives for ever; a fork that collects it would copy each page
    _serve(socket.socket(fileno=os.dup(0)))
    _run(begin)


def _run(named: str) -> None:
    """Imports a module, and calls a function of it if one is named behind a colon."""
    module, _, function = named.partition(":")
    found = importlib.import_module(module)
    if function:
        getattr(found, function)()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
