"""The port of a worker's metrics, whoever connects to it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import AsyncMock

import httpx
import pytest
from support.metrics import scrape
from support.ports import free_port
from support.raw_http import Peer, request
from support.waiting import wait_until

from pushlane.metrics.scrape import Scrape
from pushlane_worker import metrics_server
from pushlane_worker.metrics_server import CONNECTIONS, listen, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKENS = ("t0ken-of-today", "t0ken-of-tomorrow")


@contextlib.contextmanager
def server(redis_url: str, *tokens: str) -> Iterator[str]:
    """The server in a thread, as in a worker; its address."""
    port, loop, stop = free_port(), asyncio.new_event_loop(), asyncio.Event()
    listener = listen(port)

    async def serve() -> None:
        async with serving(listener, Scrape(redis_url), tokens):
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def open_files() -> int:
    """Of this process (Linux)."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_it_answers_this_one_request_and_no_other(redis_url: str) -> None:
    """With an end of the connection, so that nobody keeps one for later."""
    with server(redis_url) as url:
        assert scrape(url).value("pushlane_redis_up") == 1
        assert [httpx.get(f"{url}{path}").status_code for path in ("/", "/metrics/", "/metricsx", "/%6detrics")] == [
            404
        ] * 4
        refused = httpx.post(f"{url}/metrics", content=b"x" * 100)
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
        assert httpx.head(f"{url}/metrics").status_code == 200
        with Peer(url) as peer:
            peer.send(request("/metrics", method="GET") * 3)
            assert peer.answers() == [200]


def test_with_a_token_nobody_else_gets_an_answer(redis_url: str) -> None:
    """Either of two, while one replaces the other."""
    with server(redis_url, *TOKENS) as url:
        assert all(scrape(url, token=token).value("pushlane_redis_up") == 1 for token in TOKENS)
        for given in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer x"}, {"Authorization": TOKENS[0]}):
            refused = httpx.get(f"{url}/metrics", headers=given)
            assert (refused.status_code, refused.headers["www-authenticate"], refused.text) == (401, "Bearer", "")


def test_200_silent_peers_keep_nobody_out(redis_url: str) -> None:
    """Nor do they cost more than a few open files."""
    with server(redis_url) as url, contextlib.ExitStack() as stack:
        before = open_files()
        peers = [stack.enter_context(Peer(url)) for _ in range(200)]
        wait_until(lambda: sum(peer.is_open() for peer in peers) <= CONNECTIONS, "the oldest to be closed")
        assert scrape(url).value("pushlane_redis_up") == 1
        ours = open_files() - before - len(peers)
        assert ours <= CONNECTIONS + 5
        assert not any(peer.is_open() for peer in peers[:100])


def test_peers_that_ask_and_do_not_read_keep_nobody_out(
    redis_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest of them makes room, without a line in the log."""
    monkeypatch.setattr(Scrape, "text", AsyncMock(return_value=b"x" * 8_000_000))
    with server(redis_url) as url, contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(url, buffer_bytes=2048)) for _ in range(CONNECTIONS)]
        for peer in peers:
            peer.send(request("/metrics", method="GET"))
        wait_until(lambda: not any(peer.is_open() for peer in peers), "the answers to begin")
        assert len(httpx.get(f"{url}/metrics", timeout=20).content) == 8_000_000
    assert not [one for one in caplog.records if one.name == "asyncio"]


def test_a_connection_ends_whatever_its_peer_does(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent, slow with its head, or slow to read."""
    monkeypatch.setattr(metrics_server, "LIFE_S", 0.5)
    with server(redis_url) as url, Peer(url) as silent, Peer(url) as slow:
        slow.send(b"GET /metrics HTTP/1.1\r\nHost: ")
        assert silent.answers() == slow.answers() == []


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"GET /metrics HTTP/1.1\r\nHost: t\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: t\r\n" + b"X: x\r\n" * 10_000 + b"\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
        pytest.param(b"\r\n" * 10_000, marks=pytest.mark.long),  # waited for until it is cut
        b"POST /metrics HTTP/1.1\r\nHost: t\r\nContent-Length: 100000000000\r\n\r\n" + b"x" * 100_000,
        b"GET /metrics HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx",
    ],
    ids=["tls", "long line", "many lines", "long path", "line breaks", "endless body", "bad chunk"],
)
def test_nonsense_gets_no_metrics_and_no_traceback(
    redis_url: str, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """And the next request is answered."""
    with caplog.at_level(logging.INFO), server(redis_url) as url:
        with Peer(url) as peer:
            peer.flood(sent, len(sent))
            assert not [status for status in peer.answers() if status < 400 and b"GET /metrics" not in sent]
        assert scrape(url).value("pushlane_redis_up") == 1
    assert not [record for record in caplog.records if record.exc_info], caplog.text


def test_no_more_memory_than_answers(redis_url: str) -> None:
    """Floods of heads that never end are cut off at a few KB each."""
    with server(redis_url) as url, contextlib.ExitStack() as stack:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for peer in [stack.enter_context(Peer(url)) for _ in range(CONNECTIONS)]:
            peer.send(b"GET /metrics HTTP/1.1\r\n")
            assert peer.flood(b"X: " + b"x" * 8000 + b"\r\n", 20_000_000) < 20_000_000
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
        assert scrape(url).value("pushlane_redis_up") == 1


def test_a_forked_child_does_not_keep_the_port() -> None:
    """A pool process that outlives its worker must not keep the next worker from starting."""
    port = free_port()
    with listen(port) as listener:
        reader, writer = os.pipe()
        if not (child := os.fork()):
            os.write(writer, b"closed" if listener.fileno() < 0 else b"open")
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reader, 10) == b"closed"
        os.close(reader)
        os.close(writer)
        with pytest.raises(OSError, match="in use"):
            listen(port)
        with socket.create_connection(("127.0.0.1", port)):
            pass
