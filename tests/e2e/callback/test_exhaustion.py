"""Strangers who hold or flood connections: moderation is answered meanwhile, and the process stays small."""

from __future__ import annotations

import contextlib
import json
import statistics
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from support.callback import Callback, c2c, callback, moderation, query
from support.http_api import BILLING, KEYS
from support.raw_http import Peer, request
from support.waiting import wait_until

from pushlane.callback.http.connection import HEAD_BYTES, HEAD_S, PIPELINED, READ_S
from pushlane.callback.server import MAX_CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator


KEY = f"Authorization: Bearer {BILLING}"
ANSWER_S: Final = 0.3
"""Of the 2 s that the platform waits."""
GROWTH_BYTES: Final = 64 * 1024 * 1024
SLACK_S: Final = 10.0
"""For a machine that does other things at the same time."""


@pytest.fixture
def serving(redis_url: str, tmp_path: Path) -> Iterator[Callback]:
    """A callback of its own, warm."""
    with callback(tmp_path, redis_url, moderation(tmp_path) | KEYS) as running:
        ask(running, 20)
        yield running


def ask(serving: Callback, count: int) -> list[float]:
    """Asks whether a word passes and whether another one does, each on a new connection; the seconds that it took."""
    took = []
    for number in range(count):
        body = json.dumps(c2c(number, ("casino", "hello")[number % 2])).encode()
        started = time.monotonic()
        with Peer(serving.url) as peer:
            peer.send(request(f"/tencent/callback?{query()}", body))
            assert json.loads(peer.answer().body)["ErrorCode"] == (1, 0)[number % 2]
        took.append(time.monotonic() - started)
    return took


def resident(serving: Callback) -> int:
    """The process's memory in bytes (Linux)."""
    lines = Path(f"/proc/{serving.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def sockets(serving: Callback) -> int:
    """How many the process has (Linux)."""
    count = 0
    for link in Path(f"/proc/{serving.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            count += "socket" in str(link.readlink())
    return count


@contextlib.contextmanager
def unharmed(serving: Callback) -> Iterator[None]:
    """Asks while the block runs, and looks at the memory."""
    before, quiet = resident(serving), statistics.median(ask(serving, 20))
    ends, took, peak = threading.Event(), ask(serving, 1), [before]

    def meanwhile() -> None:
        while not ends.is_set():
            took.extend(ask(serving, 1))
            peak.append(resident(serving))

    asking = threading.Thread(target=meanwhile)
    asking.start()
    try:
        yield
    finally:
        ends.set()
        asking.join()
    assert statistics.median(took) < max(ANSWER_S, 10 * quiet)
    assert max(peak) - before < GROWTH_BYTES, (before, peak)


def addresses(count: int) -> Iterator[str]:
    """So many of this machine's own, in turn."""
    while True:
        yield from (f"127.0.0.{number + 1}" for number in range(count))


@pytest.mark.long
@pytest.mark.parametrize("sources", [1, 50])
@pytest.mark.parametrize("head", [b"", b"POST / HTTP/1.1\r\nX: " + b"y" * (HEAD_BYTES - 100)], ids=["silent", "half"])
def test_connections_that_only_wait_are_no_harm(serving: Callback, head: bytes, sources: int) -> None:
    """2,500, more than there are places for, from one address or from many; none outlives its time.

    A connection on which the platform has asked before them is still there.
    """
    with contextlib.ExitStack() as stack, unharmed(serving):
        known = stack.enter_context(Peer(serving.url))
        asked = request(f"/tencent/callback?{query()}", json.dumps(c2c(1, "casino")).encode())
        known.send(asked)
        first = known.answer()
        peers = []
        for _, source in zip(range(MAX_CONNECTIONS + 500), addresses(sources), strict=False):
            peers.append(stack.enter_context(Peer(serving.url, source=source)))
            with contextlib.suppress(ConnectionError):  # those that were ended for a newcomer
                peers[-1].send(head)
        wait_until(lambda: not any(peer.is_open() for peer in peers), "the end of all", HEAD_S + SLACK_S)
        known.send(asked)
        assert known.answer().body == first.body


@pytest.mark.long
def test_endless_heads_are_no_harm(serving: Callback) -> None:
    """64 MiB of lines on a connection, and as much on a hundred."""
    for connections in (1, 100):
        with contextlib.ExitStack() as stack, unharmed(serving):
            sent = 0
            while sent < 64 * 2**20:
                for _ in range(connections):
                    peer = stack.enter_context(Peer(serving.url))
                    peer.send(b"GET /healthz HTTP/1.1\r\nHost: t\r\n")
                    sent += peer.flood(b"X-Some-Header: some value\r\n" * 10_000, 64 * 2**20 // connections)


@pytest.mark.long
def test_endless_bodies_are_no_harm(serving: Callback) -> None:
    """Behind a 401, for as long as the server takes them."""
    head = b"POST /tencent/callback HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    for chunk in (b"10000\r\n" + b"x" * 2**16 + b"\r\n", b"1\r\nx\r\n" * 10_000):
        with unharmed(serving):
            for _ in range(20):
                with Peer(serving.url) as peer:
                    peer.send(head)
                    peer.flood(chunk, 100 * 2**20)


@pytest.mark.long
def test_a_peer_that_does_not_read_is_given_up(serving: Callback) -> None:
    """Its answers fill all buffers, and the connection with them goes."""
    settled = sockets(serving)
    with contextlib.ExitStack() as stack, unharmed(serving):
        for _ in range(100):
            peer = stack.enter_context(Peer(serving.url, buffer_bytes=4096))
            peer.send(request("/openapi.json", headers=[KEY], method="GET") * PIPELINED)
        wait_until(lambda: sockets(serving) >= settled + 100, "all to be there")
        wait_until(lambda: sockets(serving) <= settled + 1, "the end of all", READ_S + SLACK_S)
