"""What the callback costs beside a route that only validates its body: requests a second, and latency at half of that.

::

    python benchmarks/callback.py [--seconds 0.5] [--rounds 20]

Three servers on one core with the same uvicorn settings: ``bare`` reads the body and validates it, ``feed`` is the
callback with blocked words, which records each decision in Redis, ``relay`` also enqueues each allowed message. The
client and Redis have the other cores. The servers take short turns, and compared is a round's share of the bare rate of
the same round (its median), because the speed of a shared machine changes by the second. Rates are closed loop over 16
connections; latency is open loop at half the measured rate, counted from when a request was due.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import uvicorn
import uvloop
from redis import Redis
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parent.parent / "tests"))

from support.callback import APP, C2C, TOKEN, Callback, c2c, callback, free_port, moderation  # noqa: E402
from support.channels import register  # noqa: E402
from support.processes import environment, running  # noqa: E402
from support.waiting import wait_until  # noqa: E402

from pushlane.callback.server import MAX_CONNECTIONS  # noqa: E402
from pushlane.callback.signature import Query  # noqa: E402
from pushlane.callback.tencent import parse  # noqa: E402
from pushlane_worker.embedded import EmbeddedServer  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from starlette.requests import Request

CONNECTIONS: Final = 16
SERVER_CORES: Final = {0}
P99_MS: Final = 20.0
SHARE: Final = 0.5
LATENCY_S: Final = 4.0
WORDS: Final = 1000
_OK: Final = b'"ErrorCode":0'
_BARE = ["bare"]


async def _bare(request: Request) -> Response:
    message = parse(await request.body(), Query(APP, C2C, "192.0.2.1", "iOS"))
    assert message is not None
    return Response(b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}', media_type="application/json")


def serve_bare(port: int) -> None:
    """The yardstick."""
    uvicorn.run(
        Starlette(routes=[Route("/tencent/callback", _bare, methods=["POST"])]),
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
    )


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


def cpu_s(pid: int) -> float:
    """The processor time of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def at(times: list[float], share: float) -> float:
    """A percentile."""
    return times[min(int(len(times) * share), len(times) - 1)]


class Server(NamedTuple):
    """One that is measured."""

    port: int
    pid: int


@contextlib.contextmanager
def servers(folder: Path, redis_url: str) -> Iterator[dict[str, Server]]:
    """The three, all on the servers' core."""
    with contextlib.ExitStack() as stack:
        others = os.sched_getaffinity(0)
        os.sched_setaffinity(0, SERVER_CORES)  # children inherit it
        port = free_port()
        words = [sys.executable, str(HERE), "--serve-bare", str(port)]
        log = folder / "bare.log"
        bare = stack.enter_context(running(words, env=environment(), cwd=folder, log=log))
        found = {"bare": Server(port, bare.pid)}
        for name, more in {"feed": {}, "relay": {"relay_channel": "support", "relay_room": "{To_Account}"}}.items():
            own = folder / name
            own.mkdir()
            settings = moderation(own, **more)
            blocked = "\n".join(f"blockedword{number}" for number in range(WORDS))
            (own / "words.txt").write_text(blocked, encoding="utf-8")
            started: Callback = stack.enter_context(callback(own, redis_url, settings))
            found[name] = Server(int(started.url.rpartition(":")[2]), started.process.pid)
        os.sched_setaffinity(0, others - SERVER_CORES or others)
        wait_until(lambda: bare.poll() is None and _listens(port), "the bare route")
        yield found


def _listens(port: int) -> bool:
    try:
        asyncio.run(asyncio.open_connection("127.0.0.1", port))
    except OSError:
        return False
    return True


def main() -> int:
    """Measures, prints, and says whether it holds."""
    parser = argparse.ArgumentParser(description="Measures the moderation callback.")
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--serve-bare", type=int, metavar="PORT", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve_bare:
        serve_bare(arguments.serve_bare)
        return 0
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores - SERVER_CORES or cores)
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer() as server, Redis.from_url(server.url) as client:
        os.sched_setaffinity(0, cores)
        return _run(Path(folder), server.url, client, arguments)


def _run(folder: Path, redis_url: str, client: Redis, arguments: argparse.Namespace) -> int:
    requests, holds = Requests(), True
    rates: dict[str, list[float]] = {"bare": [], "feed": [], "relay": []}
    costs: dict[str, list[float]] = {name: [] for name in rates}
    with servers(folder, redis_url) as found:
        for round_ in range(arguments.rounds + 1):
            for name, server in found.items():
                _clean(client)
                before = cpu_s(server.pid)
                rate, times = measure(server.port, requests, arguments.seconds if round_ else 1.0)
                if round_:  # the first one warms up
                    rates[name].append(rate)
                    costs[name].append((cpu_s(server.pid) - before) / len(times) * 1e6)
        for name, each in rates.items():
            spread = f"{min(each):.0f} to {max(each):.0f}/s"
            print(f"{name:6} {statistics.median(each):6.0f}/s ({spread}); at best {min(costs[name]):.0f} us each")
        for name in ("feed", "relay"):
            share = statistics.median(own / bare for own, bare in zip(rates[name], rates["bare"], strict=True))
            _clean(client)
            asked, times = measure(found[name].port, requests, LATENCY_S, statistics.median(rates[name]) / 2)
            good = share >= SHARE and at(times, 0.99) < P99_MS
            holds = holds and (good or name == "relay")  # only what is recorded has a target
            print(
                f"{name:6} {share:4.0%} of bare; at {asked:.0f}/s p50 {at(times, 0.5):.1f} ms,"
                f" p99 {at(times, 0.99):.1f} ms: {'holds' if good else 'does NOT hold'}"
            )
    return 0 if holds else 1


def _clean(client: Redis) -> None:
    client.flushall()
    register(client, max_queued=10_000_000)


if __name__ == "__main__":
    sys.exit(main())
