"""A chat API that costs as little as possible: it accepts CINNOX's push, counts, and says when a count is reached.

``python -m benchmarks.chat_api`` serves on a free port and prints its address. ``POST /control`` forgets all counts and
sets a latency, a rate limit, and whether to note how long messages took; ``GET /when/N`` answers with the counts as
soon as N messages have arrived. No framework and no JSON parser: a framework would be the bottleneck.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import uvloop

from pushlane_worker.embedded import HOST

if TYPE_CHECKING:
    from collections.abc import Callable

_PUSH: Final = b"POST /v1/"
_MESSAGE: Final = b'"type"'
_SENT_AT: Final = re.compile(rb"sent=(\d+)")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def _answer(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_ACCEPTED: Final = _answer("200 OK", b'{"code":0,"result":{}}')
_THROTTLED: Final = _answer("429 Too Many Requests", b'{"code":6451010,"message":"too many requests"}')


@dataclass
class Api:
    """How the API behaves, and what it has counted."""

    latency_s: float = 0.0
    rate_limit: int = 0
    window_s: float = 60.0
    timed: bool = False
    pushes: int = 0
    messages: int = 0
    throttled: int = 0
    first: float = 0.0
    """When the first push arrived, on the machine's monotonic clock."""
    last: float = 0.0
    """When the last push was answered, or will be."""
    delays_ms: list[float] = field(default_factory=list)
    push_times: list[float] = field(default_factory=list)
    """Only with a rate limit."""
    _window: deque[float] = field(default_factory=deque)
    _waiting: list[tuple[int, Callable[[bytes], None]]] = field(default_factory=list)

    def push(self, body: bytes) -> bytes:
        """The answer to a push."""
        now = time.monotonic()
        if self.rate_limit and not self._allows(now):
            self.throttled += 1
            return _THROTTLED
        self.pushes += 1
        self.messages += body.count(_MESSAGE)
        self.first = self.first or now
        self.last = now + self.latency_s
        if self.timed:
            now_ns = time.monotonic_ns()
            self.delays_ms += [(now_ns - int(sent)) / 1e6 for sent in _SENT_AT.findall(body)]
        if self._waiting:
            self._tell()
        return _ACCEPTED

    def when(self, messages: int, tell: Callable[[bytes], None]) -> None:
        """Calls back with the counts once there are so many messages."""
        self._waiting.append((messages, tell))
        self._tell()

    def _allows(self, now: float) -> bool:
        while self._window and self._window[0] <= now - self.window_s:
            self._window.popleft()
        if len(self._window) >= self.rate_limit:
            return False
        self._window.append(now)
        self.push_times.append(now)
        return True

    def _tell(self) -> None:
        for waiting in [each for each in self._waiting if self.messages >= each[0]]:
            self._waiting.remove(waiting)
            waiting[1](self._counts())

    def _counts(self) -> bytes:
        public = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return _answer("200 OK", json.dumps(public).encode())


class Connection(asyncio.Protocol):
    """One keep-alive connection, on which requests come one after the other."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the way back."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answers as soon as a request is complete."""
        self._received += data
        head, ended, body = self._received.partition(b"\r\n\r\n")
        if not ended:
            return
        length = _LENGTH.search(head)
        if length and len(body) < int(length[1]):
            return
        self._received = b""
        api = self._server.api
        if head.startswith(_PUSH):
            self._send_in(api.latency_s, api.push(body))
        elif head.startswith(b"GET /when/"):
            api.when(int(head.split(b" ")[1].rpartition(b"/")[2]), self._transport.write)
        else:
            self._server.api = Api(**json.loads(body))
            self._transport.write(_ACCEPTED)

    def _send_in(self, latency_s: float, answer: bytes) -> None:
        if latency_s:
            asyncio.get_running_loop().call_later(latency_s, self._transport.write, answer)
        else:
            self._transport.write(answer)


class Server:
    """Holds the API, which each ``/control`` replaces."""

    def __init__(self) -> None:
        self.api = Api()

    async def serve(self) -> None:
        """Serves until the process is killed."""
        listening: Any = await asyncio.get_running_loop().create_server(lambda: Connection(self), HOST, 0)
        print(f"http://{HOST}:{listening.sockets[0].getsockname()[1]}", flush=True)
        await listening.serve_forever()


if __name__ == "__main__":
    uvloop.run(Server().serve())
