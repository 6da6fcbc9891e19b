"""The callback's load: signed questions over keep-alive connections, closed loop or open loop."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import deque
from typing import TYPE_CHECKING, Final

import uvloop
from support.callback import APP, C2C, TOKEN, c2c

if TYPE_CHECKING:
    from typing import Any

CONNECTIONS: Final = 16
_OK: Final = b'"ErrorCode":0'


class Requests:
    """Signed requests, each with a message of its own."""

    def __init__(self) -> None:
        self._number = int(time.time() * 1000) % 10**9 * 1000
        before, after = json.dumps(c2c(0, "see you at eight, and bring the @@@ along")).split("@@@")
        self._before, self._after = before.replace('"0_0_', '"@_0_').split("@"), after
        self._head = b""

    def sign(self) -> None:
        """Signs for the next minute."""
        now = str(int(time.time()))
        sign = hashlib.sha256((TOKEN + now).encode()).hexdigest()
        facts = f"SdkAppid={APP}&CallbackCommand={C2C}&contenttype=json&ClientIP=192.0.2.1&OptPlatform=iOS"
        path = f"/tencent/callback?{facts}&Sign={sign}&RequestTime={now}"
        self._head = f"POST {path} HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n".encode()

    def next(self) -> bytes:
        """The next request."""
        self._number += 1
        body = f"{self._before[0]}{self._number}{self._before[1]}umbrella {self._number}{self._after}".encode()
        return b"%bContent-Length: %d\r\n\r\n%b" % (self._head, len(body), body)


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on its way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._answer = b""
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins."""
        self._transport: Any = transport
        self._load.free(self)

    def ask(self, request: bytes, due: float) -> None:
        """Sends a request that was due then."""
        self.due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Takes the answer."""
        self._answer += data
        head, ended, body = self._answer.partition(b"\r\n\r\n")
        if not ended or len(body) < int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]):
            return
        assert self._answer.startswith(b"HTTP/1.1 200"), self._answer
        assert _OK in body, body
        self._answer = b""
        self._load.answered(self)

    def close(self) -> None:
        """Ends it."""
        self._transport.close()


class Load:
    """Closed loop without a rate: each connection asks again as soon as it is answered. Else open loop at this rate."""

    def __init__(self, requests: Requests, rate: float | None) -> None:
        self._requests, self._rate = requests, rate
        self._idle: list[Connection] = []
        self._due: deque[float] = deque()
        self._running = False
        self.times: list[float] = []

    def free(self, connection: Connection) -> None:
        """The connection may ask."""
        if self._rate is None:
            if self._running:
                connection.ask(self._requests.next(), time.perf_counter())
                return
        elif self._due:
            connection.ask(self._requests.next(), self._due.popleft())
            return
        self._idle.append(connection)

    def answered(self, connection: Connection) -> None:
        """Counts an answer."""
        self.times.append(time.perf_counter() - connection.due)
        self.free(connection)

    async def run(self, port: int, seconds: float) -> float:
        """Loads for so long; how long it was."""
        loop = asyncio.get_running_loop()
        pairs = [await loop.create_connection(lambda: Connection(self), "127.0.0.1", port) for _ in range(CONNECTIONS)]
        self._running, started = True, time.perf_counter()
        if self._rate is None:
            idle, self._idle = self._idle, []
            for connection in idle:
                self.free(connection)
            await asyncio.sleep(seconds)
        else:
            await self._pace(started, seconds, self._rate)
        self._running, took = False, time.perf_counter() - started
        while len(self._idle) < CONNECTIONS:  # noqa: ASYNC110 # the end of a measurement
            await asyncio.sleep(0.01)
        for _, connection in pairs:
            connection.close()
        return took

    async def _pace(self, started: float, seconds: float, rate: float) -> None:
        sent = 0
        while (now := time.perf_counter() - started) < seconds:
            while sent / rate <= now:
                self._due.append(started + sent / rate)
                sent += 1
            while self._idle and self._due:
                self._idle.pop().ask(self._requests.next(), self._due.popleft())
            await asyncio.sleep(0.0005)


def measure(port: int, requests: Requests, seconds: float, rate: float | None = None) -> tuple[float, list[float]]:
    """Requests a second, and the latencies in ms, sorted."""
    requests.sign()
    load = Load(requests, rate)
    took = uvloop.run(load.run(port, seconds))
    return len(load.times) / took, sorted(each * 1000 for each in load.times)
