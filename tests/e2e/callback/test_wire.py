"""Questions on the wire: answered however they are sent, and in time."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
from support.callback import NOBODY, Callback, c2c, callback, moderation, query
from support.own_policies import MODULE, python_path
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = pytest.mark.long
BUDGET_S = 1.5
SLACK_S = 0.4
"""For a machine that does other things at the same time. The chat platform waits 2 s."""
KEPT_S = 4.0
"""An idle connection is closed after 5 s."""


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
