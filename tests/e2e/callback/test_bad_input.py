"""``pushlane callback`` as a process: what keeps it from its start, what keeps it from answering, and how it stops."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
from support.callback import C2C, TOKEN, Callback, c2c, callback, moderation, query
from support.command import pushlane
from support.processes import environment
from support.stack import channel_settings
from support.waiting import wait_until
from support.webhook import webhook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.long

NOBODY = "redis://127.0.0.1:1/0"
BUDGET_S = 1.5
SLACK_S = 0.4
"""For a machine that does other things at the same time. The chat platform waits 2 s."""
GRACE_S = 12.0
KEPT_S = 4.0
"""An idle connection is closed after 5 s."""

MODULE = """
import asyncio, pathlib, time
from pushlane.callback import Verdict

class Hangs:
    name = "hangs"
    def judge(self, message):
        pathlib.Path(f"asked-{message.key}").touch()
        time.sleep(3600)

class Slow:
    name = "slow"
    async def judge(self, message):
        pathlib.Path(f"asked-{message.key}").touch()
        await asyncio.sleep(0.5)
        return Verdict.forbid(code=120001, text="slow")

class Nameless:
    def judge(self, message): return None
"""

# --- the start ---------------------------------------------------------------------------------------------------


def started_with(folder: Path, **settings: object) -> Mapping[str, str]:
    """The environment with these settings of MODERATION."""
    return {"PUSHLANE_REDIS_URL": NOBODY, **moderation(folder, **settings)}


WRONG: list[tuple[dict[str, str], tuple[str, ...]]] = [
    ({"sdk_app_ids": ""}, ("PUSHLANE_MODERATION__SDK_APP_IDS", "is missing")),
    ({"tokns": "x"}, ("PUSHLANE_MODERATION__TOKNS", "did you mean PUSHLANE_MODERATION__TOKENS?")),
    ({"tokens_file": "/dev/null"}, ("PUSHLANE_MODERATION__TOKENS", "TOKENS_FILE")),
    ({"tokens": "", "tokens_file": "/nowhere"}, ("PUSHLANE_MODERATION__TOKENS_FILE", "/nowhere", "No such file")),
    ({"tokens": "", "tokens_file": "/dev/null"}, ("PUSHLANE_MODERATION__TOKENS_FILE", "one or two secrets")),
    ({"tokens": "", "unsigned": "true"}, ("PUSHLANE_MODERATION__UNSIGNED", "SOURCE_NETWORKS")),
    ({"source_networks": "10.0.0.1/8"}, ("PUSHLANE_MODERATION__SOURCE_NETWORKS", "192.0.2.0/24")),
    ({"deadline_s": "2"}, ("PUSHLANE_MODERATION__DEADLINE_S", "1.8")),
    ({"relay_room": "{To_Account}"}, ("PUSHLANE_MODERATION__RELAY_ROOM", "RELAY_CHANNEL")),
    ({"relay_channel": "support", "relay_room": "{To}"}, ("PUSHLANE_MODERATION__RELAY_ROOM", "To_Account")),
    ({"blocked_words_file": "/nowhere"}, ("PUSHLANE_MODERATION__BLOCKED_WORDS_FILE", "/nowhere", "No such file")),
    ({"blocked_words_file": "/dev/null"}, ("PUSHLANE_MODERATION__BLOCKED_WORDS_FILE", "contains no word")),
    ({"policies": "length,nosuch:Policy"}, ("PUSHLANE_MODERATION__POLICIES", "No module named 'nosuch'")),
    ({"policies": '["theirs:Nameless"]'}, ("PUSHLANE_MODERATION__POLICIES", "theirs:Nameless", "a method judge")),
    ({"policies": '[{"policy": "length", "code": 1}]'}, ("PUSHLANE_MODERATION__POLICIES", "120001 to 130000", "10100")),
    ({"routing": "theirs:nothing"}, ("PUSHLANE_MODERATION__ROUTING", "theirs:nothing")),
    ({"routing": "json:dumps", "relay_room": "r", "relay_channel": "c"}, ("RELAY_ROOM and ROUTING",)),
    ({"spool_dir": "/dev/null/spool"}, ("PUSHLANE_MODERATION__SPOOL_DIR", "/dev/null/spool", "Not a directory")),
    ({"spool_dir": "/proc/spool"}, ("PUSHLANE_MODERATION__SPOOL_DIR", "/proc/spool")),
]


@pytest.mark.parametrize(("settings", "words"), WRONG, ids=lambda value: "" if isinstance(value, tuple) else str(value))
def test_a_wrong_setting_is_one_line_and_exit_2(
    settings: dict[str, str], words: tuple[str, ...], tmp_path: Path
) -> None:
    """Before anything listens, with as many processes as there may be, and without a traceback."""
    (tmp_path / "theirs.py").write_text(MODULE)
    variables = {**started_with(tmp_path, **settings), "PYTHONPATH": python_path(tmp_path)}
    pushlane("callback", "--port", "0", "--workers", "2", settings=variables).refused(2, *words)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, ("PUSHLANE_REDIS_URL", "is missing")),
        ({"PUSHLANE_REDIS_URL": NOBODY}, ("PUSHLANE_MODERATION__SDK_APP_IDS", "nothing to serve")),
        ({"PUSHLANE_REDIS_URL": "redis://localhost:port/0"}, ("PUSHLANE_REDIS_URL", "redis://localhost:6379/0")),
        ({"PUSHLANE_REDIS_ULR": NOBODY}, ("PUSHLANE_REDIS_ULR", "did you mean PUSHLANE_REDIS_URL?")),
        (
            {"PUSHLANE_REDIS_URL": NOBODY, "PUSHLANE_API_KEYS__A__CHANNELS": "support"},
            ("PUSHLANE_API_KEYS__A__KEY", "KEY_FILE"),
        ),
    ],
)
def test_what_is_missing_is_one_line_and_exit_2(variables: dict[str, str], words: tuple[str, ...]) -> None:
    """The address, and something to serve."""
    keys = {"PUSHLANE_API_KEYS__A__KEY": "k", "PUSHLANE_API_KEYS__A__CHANNELS": "support"}
    needs_keys = "port" in variables.get("PUSHLANE_REDIS_URL", "").rpartition(":")[2]
    pushlane("callback", settings={**(keys if needs_keys else {}), **variables}).refused(2, *words)


def test_without_a_token_it_starts_on_loopback_alone(tmp_path: Path) -> None:
    """A forgotten token is no open door."""
    settings = started_with(tmp_path, tokens="")
    ended = pushlane("callback", "--host", "0.0.0.0", "--port", "0", settings=settings)
    ended.refused(2, "PUSHLANE_MODERATION__TOKENS", "0.0.0.0", "UNSIGNED", "SOURCE_NETWORKS")


@pytest.mark.parametrize("tokens", ["", TOKEN])
def test_without_a_token_one_line_warns_of_it(tmp_path: Path, redis_url: str, tokens: str) -> None:
    """It takes unsigned questions, as somebody who has just set it up may not expect; the line names the setting."""
    with callback(tmp_path, redis_url, moderation(tmp_path, tokens=tokens), workers=2) as running:
        lines = [line for line in running.log.read_text().splitlines() if "callback.unsigned" in line]
    assert len(lines) == (0 if tokens else 1)
    assert not lines or ("warning" in lines[0] and "PUSHLANE_MODERATION__TOKENS" in lines[0])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_one_line_and_exit_1(tmp_path: Path, workers: str) -> None:
    """The line names it; nothing is left on disk."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = pushlane("callback", "--port", port, "--workers", workers, settings=started_with(tmp_path))
    ended.refused(1, "127.0.0.1", port, "Address already in use")
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_host_that_is_none_is_one_line_and_exit_1(tmp_path: Path) -> None:
    """An address of another machine's."""
    settings = started_with(tmp_path)
    pushlane("callback", "--host", "192.0.2.1", "--port", "0", settings=settings).refused(1, "192.0.2.1", "assign")


@pytest.mark.parametrize("arguments", [("--port", "65536"), ("--port", "x"), ("--workers", "0"), ("--wat",)])
def test_a_wrong_command_line_is_exit_2(arguments: tuple[str, ...]) -> None:
    """The option is named."""
    pushlane("callback", *arguments).refused(2, arguments[0])


@pytest.mark.parametrize("absent", ["starlette", "uvicorn", "ahocorasick_rs", "pydantic_settings"])
def test_a_missing_extra_is_one_line_and_exit_2(absent: str, tmp_path: Path) -> None:
    """It says what to install."""
    script = f"import sys; sys.modules['{absent}'] = None; sys.argv[1:] = ['callback']\n"
    script += "from pushlane_worker.cli import main; main()"
    env = environment(**started_with(tmp_path))
    words = [sys.executable, "-c", script]
    ended = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    expected = f"pushlane: {absent} is not installed: run `pip install 'pushlane[callback]'`\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", expected)


def test_one_environment_serves_worker_and_callback(tmp_path: Path, redis_url: str) -> None:
    """Channels, and sections that are still to come, stand beside moderation."""
    beside = {**channel_settings("https://api.example.com"), **webhook()}
    with callback(tmp_path, redis_url, {**moderation(tmp_path), **beside}) as running, httpx.Client() as client:
        assert running.ask(client, c2c(1))["ErrorCode"] == 0


# --- requests on the wire ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callback]:
    """A callback whose Redis is away and whose configured answer is no."""
    folder = tmp_path_factory.mktemp("callback")
    with callback(folder, NOBODY, moderation(folder, on_error="forbid")) as running:
        yield running


@contextlib.contextmanager
def connection(running: Callback) -> Iterator[socket.socket]:
    """A bare connection."""
    address = httpx.URL(running.url)
    with socket.create_connection((address.host, address.port or 80), timeout=10) as peer:
        yield peer


def head(*headers: str, asked: str | None = None) -> bytes:
    """The head of a signed request."""
    lines = [f"POST /tencent/callback?{asked or query()} HTTP/1.1", "Host: x", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(peer: socket.socket) -> tuple[int, bytes]:
    """The status and the body of the next answer."""
    reader = peer.makefile("rb")
    status = int(reader.readline().split()[1])
    length = 0
    while (line := reader.readline().strip().lower()) != b"":
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return status, reader.read(length)


def code(answered: tuple[int, bytes]) -> int:
    """The ErrorCode of an answer with status 200."""
    status, body = answered
    assert status == 200, body
    fields = json.loads(body)
    assert (fields["ActionStatus"], set(fields)) == ("OK", {"ActionStatus", "ErrorInfo", "ErrorCode"})
    return int(fields["ErrorCode"])


def chunked(body: bytes, size: int) -> bytes:
    """A body in chunks of this size."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


BIG = json.dumps(c2c(1, "x" * 2**20)).encode()
SMALL = json.dumps(c2c(2)).encode()
ON_THE_WIRE = {
    "1 MiB": (head(f"Content-Length: {len(BIG)}"), BIG, 1),
    "1 MiB in chunks": (head("Transfer-Encoding: chunked"), chunked(BIG, 60_000), 1),
    "1 MiB in tiny chunks": (head("Transfer-Encoding: chunked"), chunked(BIG[: 2**17], 1) + b"", 1),
    "a message in tiny chunks": (head("Transfer-Encoding: chunked"), chunked(SMALL, 1), 0),
    "a length of 0": (head("Content-Length: 0"), b"", 0),
    "no length": (head(), b"", 0),
    "a client that wants to be asked": (head(f"Content-Length: {len(SMALL)}", "Expect: 100-continue"), None, 0),
}


@pytest.mark.parametrize("name", ON_THE_WIRE)
def test_a_body_is_answered_however_it_is_sent(serving: Callback, name: str) -> None:
    """200 and a documented answer, while the rest of it is still being sent."""
    begin, body, expected = ON_THE_WIRE[name]
    begin = begin.replace(begin.split(b"?")[1].split(b" ")[0], query().encode())
    with connection(serving) as peer:
        peer.sendall(begin)
        if body is None:
            assert peer.recv(100).startswith(b"HTTP/1.1 100")
            body = SMALL
        with contextlib.suppress(ConnectionError):
            peer.sendall(body)
        assert code(answer(peer)) == expected


def test_a_body_that_does_not_come_is_answered_in_time(serving: Callback) -> None:
    """A lying Content-Length, and a body that drips: answered within the budget, and nobody holds the connection."""
    for drips in (False, True):
        with connection(serving) as peer:
            peer.sendall(head(f"Content-Length: {len(SMALL) + 1000}") + (b"" if drips else SMALL))
            started = time.monotonic()
            with ThreadPoolExecutor(1) as pool:
                answered = pool.submit(answer, peer)
                while drips and not answered.done() and time.monotonic() - started < 5:
                    with contextlib.suppress(OSError):
                        peer.sendall(b" ")
                    time.sleep(0.05)
                assert code(answered.result()) == 1
            assert time.monotonic() - started < BUDGET_S
            assert peer.recv(1) == b"", "it is closed"
            assert time.monotonic() - started < KEPT_S, "at once, and not as one that is merely idle"


def test_a_body_that_comes_late_takes_its_time_from_the_policies(tmp_path: Path, redis_url: str) -> None:
    """The budget counts from the head of the request on, also with a policy that hangs."""
    (tmp_path / "theirs.py").write_text(MODULE)
    settings = {**moderation(tmp_path, policies="theirs:Hangs", on_error="forbid"), "PYTHONPATH": python_path(tmp_path)}
    with callback(tmp_path, redis_url, settings) as running, connection(running) as peer:
        peer.sendall(head(f"Content-Length: {len(SMALL)}"))
        started = time.monotonic()
        time.sleep(0.8)
        peer.sendall(SMALL)
        assert code(answer(peer)) == 1
        assert time.monotonic() - started < BUDGET_S + SLACK_S


def test_a_peer_that_leaves_is_no_failure_of_ours(serving: Callback) -> None:
    """No traceback, and the next one is answered."""
    for sent in (head("Content-Length: 100") + b"x", head("Content-Length: 100"), b"POST /tencent"):
        with connection(serving) as peer:
            peer.sendall(sent)
    with httpx.Client() as client:
        assert serving.ask(client, c2c(3))["ErrorCode"] == 0
    wait_until(lambda: serving.log.read_text().count("status=400") >= 2, "both to be noticed")
    assert "Traceback" not in serving.log.read_text()


def test_neither_texts_nor_signs_nor_escapes_are_logged(serving: Callback) -> None:
    """An access log is read by people who may not read messages, in a terminal."""
    asked = query()
    with httpx.Client() as client:
        client.post(f"{serving.url}/tencent/callback?{asked}", json=c2c(4, "a secret casino"))
        client.post(f"{serving.url}/%1b%5b31mred%0aline", json={})
        client.post(f"{serving.url}/{'x' * 5000}", json={})
    wait_until(lambda: "xxx" in serving.log.read_text(), "the last line")
    log = serving.log.read_text()
    assert "secret" not in log
    assert asked.partition("Sign=")[2][:64] not in log
    assert "\x1b[31mred" not in log
    assert "\nline" not in log
    assert max(map(len, log.splitlines())) < 1000


# --- the end -----------------------------------------------------------------------------------------------------


def python_path(folder: Path) -> str:
    """Where a process finds modules: as here, and in the folder."""
    return ":".join([str(folder), *environment().get("PYTHONPATH", "").split(":")]).strip(":")


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_lets_requests_end_and_is_exit_0(tmp_path: Path, redis_url: str, workers: int) -> None:
    """What is in flight gets its own verdict."""
    (tmp_path / "theirs.py").write_text(MODULE)
    settings = {**moderation(tmp_path, policies="theirs:Slow"), "PYTHONPATH": python_path(tmp_path)}
    with callback(tmp_path, redis_url, settings, workers=workers) as running, ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask_once, running, number) for number in range(4)]
        wait_until(lambda: len(list(tmp_path.glob("asked-*"))) == 4, "the policy to be asked")
        running.process.send_signal(signal.SIGTERM)
        assert [one.result()["ErrorCode"] for one in asked] == [120001] * 4
        assert running.process.wait(GRACE_S) == 0
        assert "Traceback" not in running.log.read_text()
        with pytest.raises(httpx.ConnectError):
            ask_once(running, 9)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_policy_that_hangs_does_not_keep_the_process_from_its_end(
    tmp_path: Path, redis_url: str, workers: int
) -> None:
    """It is ended with its process."""
    (tmp_path / "theirs.py").write_text(MODULE)
    settings = {**moderation(tmp_path, policies="theirs:Hangs"), "PYTHONPATH": python_path(tmp_path)}
    with callback(tmp_path, redis_url, settings, workers=workers) as running, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask_once, running, 1)
        wait_until(lambda: list(tmp_path.glob("asked-*")), "the policy to be asked")
        running.process.send_signal(signal.SIGTERM)
        assert asked.result()["ErrorCode"] == 0
        assert running.process.wait(GRACE_S) == 0
        assert "Traceback" not in running.log.read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path, workers: int) -> None:
    """As every command."""
    with callback(tmp_path, NOBODY, moderation(tmp_path), workers=workers) as running:
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(GRACE_S) in {0, 130}
        assert "Traceback" not in running.log.read_text()


def ask_once(running: Callback, number: int) -> dict[str, object]:
    """One question on a connection of its own."""
    with httpx.Client(timeout=10) as client:
        return running.ask(client, c2c(number), command=C2C)
