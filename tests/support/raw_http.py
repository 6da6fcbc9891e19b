"""Requests byte by byte, as no HTTP client would send them."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, NamedTuple, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TIMEOUT_S = 20.0


class Answer(NamedTuple):
    """What came back."""

    status: int
    head: str
    body: bytes


class Peer:
    """A connection to a server."""

    def __init__(self, url: str, *, source: str = "127.0.0.1", buffer_bytes: int = 0) -> None:
        address = httpx.URL(url)
        self._socket = socket.socket()
        self._socket.settimeout(TIMEOUT_S)
        if buffer_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self._socket.bind((source, 0))
        self._socket.connect((address.host, address.port or 80))
        self._kept = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends it."""
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Sends this."""
        self._socket.sendall(data)

    def flood(self, piece: bytes, most: int) -> int:
        """Sends pieces for as long as the server takes them, no more bytes than this in all; how many it took."""
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < most:
                sent += self._socket.send(piece)
        return sent

    def answer(self) -> Answer:
        """The next answer. Raises EOFError if the server has closed instead."""
        while b"\r\n\r\n" not in self._kept:
            self._read()
        head, _, self._kept = self._kept.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        lengths = [line.partition(":")[2] for line in lines if line.lower().startswith("content-length:")]
        while len(self._kept) < int(lengths[0]):
            self._read()
        body, self._kept = self._kept[: int(lengths[0])], self._kept[int(lengths[0]) :]
        return Answer(int(lines[0].split()[1]), head.decode(), body)

    def answers(self) -> list[int]:
        """The statuses of all answers until the server closes."""

        def each() -> Iterator[int]:
            with contextlib.suppress(EOFError):
                while True:
                    yield self.answer().status

        return list(each())

    def is_open(self) -> bool:
        """Whether the server has neither closed nor said anything that was not read."""
        with contextlib.suppress(BlockingIOError):
            self._socket.setblocking(False)  # noqa: FBT003 # its only argument
            try:
                self._socket.recv(1, socket.MSG_PEEK)
            except ConnectionError:
                return False
            finally:
                self._socket.settimeout(TIMEOUT_S)
            return False
        return True

    def _read(self) -> None:
        try:
            data = self._socket.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            raise EOFError(self._kept)
        self._kept += data


def request(target: str, body: bytes = b"", headers: Sequence[str] = (), *, method: str = "POST") -> bytes:
    """A request with its Content-Length."""
    lines = [f"{method} {target} HTTP/1.1", "Host: t", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def chunked(target: str, chunks: Sequence[bytes], headers: Sequence[str] = (), trailers: Sequence[str] = ()) -> bytes:
    """A request in chunks, with trailers."""
    lines = [f"POST {target} HTTP/1.1", "Host: t", *headers, "Transfer-Encoding: chunked", "", ""]
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return "\r\n".join(lines).encode() + body + "\r\n".join(["0", *trailers, "", ""]).encode()
