"""What a stranger's bytes become: one request as its head and framing say, or none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.callback import Callback, c2c, callback, moderation, query
from support.channels import register
from support.http_api import BILLING, HELLO, KEYS, SUPPORT, stored
from support.raw_http import Answer, Peer, chunked, request
from support.waiting import wait_until

from pushlane.callback.http.connection import HEAD_BYTES, HEAD_LINES, LINGER_BYTES, PIPELINED, REQUEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from pushlane_worker.embedded import EmbeddedServer

H2C = [
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
]
"""What stock clients of Java's JDK, and ``curl --http2``, offer."""
KEY = f"Authorization: Bearer {BILLING}"
BUFFERS = 16 * 1024 * 1024
"""The kernel's, of both ends: what they take nobody has read."""
ALLOWED, FORBIDDEN = 0, 1


@pytest.fixture(scope="module")
def serving(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callback]:
    """A callback that forbids `casino` and whatever it cannot judge; its log is JSON."""
    folder = tmp_path_factory.mktemp("callback")
    settings = moderation(folder, on_error="forbid") | KEYS | {"PUSHLANE_LOG_FORMAT": "json"}
    with callback(folder, server.url, settings) as running:
        yield running


@pytest.fixture
def peer(serving: Callback) -> Iterator[Peer]:
    """A connection to it."""
    with Peer(serving.url) as connected:
        yield connected


def target() -> str:
    """The address of a signed question."""
    return f"/tencent/callback?{query()}"


def question(number: int, text: str) -> bytes:
    """Its body."""
    return json.dumps(c2c(number, text)).encode()


def code(answer: Answer) -> int:
    """The verdict."""
    assert answer.status == 200, answer
    return int(json.loads(answer.body)["ErrorCode"])


# --- an offer to upgrade ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["hello", "casino"])
@pytest.mark.parametrize("in_chunks", [False, True])
def test_a_question_with_an_offer_to_upgrade_is_judged(peer: Peer, text: str, *, in_chunks: bool) -> None:
    """The offer is declined, the body is read, and the connection goes on."""
    body = question(1, text)
    parts = [body[:50], body[50:]]
    asked = chunked(target(), parts, H2C) if in_chunks else request(target(), body, H2C)
    for _ in range(2):
        peer.send(asked)
        assert code(peer.answer()) == (FORBIDDEN if text == "casino" else ALLOWED)
    peer.send(request(target(), question(2, "casino")))
    assert code(peer.answer()) == FORBIDDEN


def test_it_is_judged_wherever_a_packet_ends(peer: Peer) -> None:
    """In the middle of the head, behind it, in the middle of the body."""
    asked = request(target(), question(1, "casino"), H2C)
    head = asked.index(b"\r\n\r\n") + 4
    for end in (head - 60, head - 2, head, head + 10):
        peer.send(asked[:end])
        assert peer.is_open()
        peer.send(asked[end:])
        assert code(peer.answer()) == FORBIDDEN


def test_several_at_once_are_answered_in_their_order(peer: Peer) -> None:
    """Each with its own verdict."""
    texts = ["casino", "hello", "casino"]
    peer.send(b"".join(request(target(), question(n, text), H2C) for n, text in enumerate(texts)))
    assert [code(peer.answer()) for _ in texts] == [FORBIDDEN, ALLOWED, FORBIDDEN]


def test_a_service_with_such_a_client_enqueues(peer: Peer, redis: Redis) -> None:
    """Its message is there."""
    register(redis)
    peer.send(request(SUPPORT, json.dumps(HELLO).encode(), [KEY, *H2C]))
    assert peer.answer().status == 202
    assert len(stored(redis)) == 1


def test_a_tunnel_is_refused(peer: Peer) -> None:
    """CONNECT has no body and no address of ours."""
    peer.send(b"CONNECT t:80 HTTP/1.1\r\nHost: t\r\n\r\n" + request(target(), question(1, "hello")))
    assert peer.answers() == [400]


# --- bodies that are not what the head says --------------------------------------------------------------------------


def test_an_empty_body_that_was_declared_is_not_nothing_to_judge(peer: Peer) -> None:
    """It was lost on its way, so the configured verdict answers; the console's check has no body and passes."""
    peer.send(chunked(target(), []))
    assert code(peer.answer()) == FORBIDDEN
    peer.send(request(target()))
    assert code(peer.answer()) == ALLOWED


@pytest.mark.parametrize("coding", ["Content-Encoding: gzip", "Content-Encoding: deflate, gzip"])
def test_a_compressed_body_is_not_taken_for_a_plain_one(peer: Peer, redis: Redis, coding: str) -> None:
    """The configured verdict, or 415 that names what is taken."""
    register(redis)
    peer.send(request(target(), question(1, "hello"), [coding]))
    assert code(peer.answer()) == FORBIDDEN
    peer.send(request(SUPPORT, json.dumps(HELLO).encode(), [KEY, coding]))
    answer = peer.answer()
    assert (answer.status, "accept-encoding: identity" in answer.head.lower()) == (415, True)
    assert stored(redis) == []


# --- trailers and smuggled requests ----------------------------------------------------------------------------------


def test_a_trailer_is_no_header(peer: Peer, redis: Redis) -> None:
    """Proxies check the head: a key after the body does not count, nor does an address."""
    register(redis)
    peer.send(chunked(SUPPORT, [json.dumps(HELLO).encode()], trailers=[KEY]))
    assert peer.answer().status == 401
    assert stored(redis) == []


SMUGGLED = [
    "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Content-Length: 5\r\nContent-Length: 0",
    "Content-Length: 5\r\nContent-Length: 5",
    "Content-Length: 5, 5",
    "Content-Length: +5",
    "Content-Length: 0x5",
    "Content-Length : 5",
    "Content-Length: 5\r\n ,5",
    "X: a\r\n b\r\nContent-Length: 5",
    "X: a\nContent-Length: 5",
    "X: a\rContent-Length: 5",
    "X: a\0\r\nContent-Length: 5",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding:\x0bchunked",
]


@pytest.mark.parametrize("lines", SMUGGLED, ids=repr)
def test_framing_of_two_readings_is_refused(peer: Peer, lines: str) -> None:
    """A proxy that reads it otherwise must not be made to send a request inside of another."""
    head = f"POST {target()} HTTP/1.1\r\nHost: t\r\n{lines}\r\n\r\n"
    peer.send(head.encode() + b"0\r\n\r\n" + request("/healthz", method="GET"))
    assert peer.answers() == [400]


@pytest.mark.parametrize(
    "chunk", [b"1\nx\r\n", b"1;a=\n\r\nx\r\n", b"-1\r\nx\r\n", b"1 \r\nx\r\n", b"f" * 17 + b"\r\nx"]
)
def test_a_chunk_of_two_readings_ends_the_connection(peer: Peer, chunk: bytes) -> None:
    """Nothing behind it is a request."""
    peer.send(chunked(target(), [])[: -len("0\r\n\r\n")] + chunk + request("/healthz", method="GET"))
    assert 200 not in peer.answers()


# --- bounds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [b"X: y\r\n" * (HEAD_LINES + 1), b"X: " + b"y" * HEAD_BYTES + b"\r\n", b"y" * HEAD_BYTES, b"X:\r\n" * 10**5],
    ids=["lines", "bytes", "no end", "all at once"],
)
def test_a_head_has_bounds(peer: Peer, more: bytes) -> None:
    """431, however it comes, and no more of it is read than is thrown away."""
    peer.send(b"GET /healthz HTTP/1.1\r\nHost: t\r\n" + more)
    assert peer.answers() == [431]


def test_a_long_address_is_no_request(peer: Peer) -> None:
    """As a problem document."""
    peer.send(request(f"/v1/{'x' * 60_000}"))
    answer = peer.answer()
    assert (answer.status, json.loads(answer.body)["status"]) == (431, 431)


def test_trailers_have_bounds(peer: Peer) -> None:
    """They count with the body, and a question that never ends is given up."""
    peer.send(chunked(target(), [question(1, "hello")])[:-2])
    assert peer.flood(b"X: y\r\n" * 10_000, 50 * REQUEST_BYTES) < REQUEST_BYTES + BUFFERS


def test_requests_that_do_not_wait_for_answers_have_bounds(peer: Peer) -> None:
    """So many may stand behind the one that is answered; who sends more is no client."""
    peer.send(request("/healthz", method="GET") * PIPELINED)
    assert [peer.answer().status for _ in range(PIPELINED)] == [200] * PIPELINED
    peer.flood(request("/healthz", method="GET") * 1000, 10**5)
    assert len(peer.answers()) <= PIPELINED


REFUSED = {
    401: ["POST /tencent/callback HTTP/1.1"],
    404: ["POST /nowhere HTTP/1.1"],
    405: ["POST /healthz HTTP/1.1"],
    413: [f"POST {SUPPORT} HTTP/1.1", KEY],
}


@pytest.mark.parametrize("framing", ["Content-Length: 1000000000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("status", REFUSED)
def test_a_refused_body_is_not_read_without_end(serving: Callback, peer: Peer, status: int, framing: str) -> None:
    """The answer comes first; what is thrown away then has an end."""
    peer.send("\r\n".join([*REFUSED[status], "Host: t", framing, "", ""]).encode())
    piece = b"10000\r\n" + b"x" * 2**16 + b"\r\n"
    assert peer.flood(piece, 400 * 2**20) < LINGER_BYTES + REQUEST_BYTES + BUFFERS
    assert serving.process.poll() is None


def test_a_small_refused_body_costs_no_connection(peer: Peer) -> None:
    """It may come behind its answer, as clients send head and body one after the other."""
    for _ in range(3):
        asked = request("/nowhere", b"x" * 1000)
        peer.send(asked[:-1000])
        assert peer.answer().status == 404
        peer.send(asked[-1000:])
    assert peer.is_open()


# --- the log ---------------------------------------------------------------------------------------------------------


def test_each_line_of_the_log_has_the_configured_form(serving: Callback, peer: Peer) -> None:
    """Also what the server itself says of broken requests."""
    peer.send(b"\x1b[31m\r\n\r\n")
    peer.answers()
    with Peer(serving.url) as other:
        other.send(request("/the-last-line", method="GET"))
        other.answer()
    wait_until(lambda: "/the-last-line" in serving.log.read_text(), "the last line")
    events = {json.loads(line)["event"] for line in serving.log.read_text().splitlines()}
    assert events >= {"connection.refused", "request"}


def test_a_stranger_steers_no_terminal(serving: Callback, peer: Peer) -> None:
    """By no part of his request."""
    peer.send(request(f"/tencent/callback?{query('%1B]0;x%07')}", b"{"))
    peer.send(request(target(), json.dumps(c2c(1) | {"CallbackCommand": "\x1b[31m"}).encode()))
    peer.send(request("/the-last-escape", method="GET"))
    assert [peer.answer().status for _ in range(3)] == [200, 401, 404]
    wait_until(lambda: "/the-last-escape" in serving.log.read_text(), "the last line")
    assert serving.log.read_text().replace("\n", "").isprintable()
