"""The fake API as a program of its own: its start and its end."""

import signal
import socket
import subprocess
import sys

import pytest

from pushlane_worker.fake_api import FakeApiClient, Stall

PROGRAM = """
import sys
from pushlane_worker.fake_api import Control, run
run("127.0.0.1", int(sys.argv[1]), Control(), lambda url: print(url, flush=True))
"""


def test_the_program_serves_until_it_is_told_to_stop() -> None:
    """SIGTERM ends it with exit code 0 and without a word."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        client = FakeApiClient(program.stdout.readline().strip())
        client.control(stall=Stall(seconds=1))
        assert client.record().pushes == 0
        program.send_signal(signal.SIGTERM)
        _, words = program.communicate(timeout=10)
    assert (program.returncode, words) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_the_program_dies_with_its_parent() -> None:
    """A killed test run leaves no fake API behind: the pipe that it holds open is closed."""
    parent = "import subprocess, sys; from pushlane_worker.child_process import tied_to_parent; "
    parent += "subprocess.run(tied_to_parent([sys.executable, '-c', *sys.argv[1:]]))"
    command = [sys.executable, "-c", parent, PROGRAM, "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        client = FakeApiClient(program.stdout.readline().strip())
        program.kill()
        program.communicate(timeout=10)
    with pytest.raises(OSError, match="refused"):
        client.record()


def test_a_port_in_use_is_one_clear_line() -> None:
    """The program that cannot listen says where, and exits with 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-W", "error", "-c", PROGRAM, port]
        program = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert program.returncode == 1
    assert program.stderr.count("\n") == 1
    assert f"127.0.0.1:{port}" in program.stderr
    assert "in use" in program.stderr
