"""What the callback costs beside a route that only validates its body, and its latency at 1,000 requests a second.

::

    PYTHONPATH=tests .venv/bin/python -m benchmarks.callback [--seconds 0.5] [--rounds 20]

Three servers on one core with the same uvicorn settings: ``bare`` reads the body and validates it with the callback's
``TypeAdapter``, ``feed`` is the callback with blocked words, which records each decision in Redis, ``relay`` also
enqueues each allowed message. The client and Redis have the other cores. The servers take short turns, and compared is
a round's share of the bare rate of the same round (its median), because the speed of a shared machine changes by the
second. Rates are closed loop over 16 connections; latency is open loop, counted from when a request was due, beside a
worker that pushes what ``relay`` enqueues. Asked of ``feed`` is a p99 below 10 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import uvicorn
from redis import Redis
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from support.callback import Callback, callback, moderation
from support.channels import register
from support.processes import environment, running
from support.stack import Stack, channel_settings, fake_api
from support.waiting import wait_until

from benchmarks.load import Requests, measure
from benchmarks.places import ROOT
from pushlane.callback.server import MAX_CONNECTIONS
from pushlane.callback.tencent.question import QUESTION
from pushlane_worker.embedded import EmbeddedServer, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

SERVER_CORES: Final = {0}
RATE: Final = 1000.0
P99_MS: Final = 10.0
LATENCY_S: Final = 4.0
WORDS: Final = 1000
_BARE = ["bare"]


async def _bare(request: Request) -> Response:
    QUESTION.validate_json(await request.body())
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
        words = [sys.executable, "-m", "benchmarks.callback", "--serve-bare", str(port)]
        log = folder / "bare.log"
        bare = stack.enter_context(running(words, env=environment(), cwd=ROOT, log=log))
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
        _clean(client)
        with fake_api() as api, contextlib.closing(Stack(redis_url, api, folder, channel_settings(api.url))) as stack:
            stack.worker("-P", "solo").ready()
            for name in ("feed", "relay"):
                share = statistics.median(own / bare for own, bare in zip(rates[name], rates["bare"], strict=True))
                asked, times = measure(found[name].port, requests, LATENCY_S, RATE)
                p50, p99 = at(times, 0.5), at(times, 0.99)
                if name == "feed":  # relaying has no target
                    holds = p99 < P99_MS
                print(f"{name:6} {share:4.0%} of bare; at {asked:.0f}/s p50 {p50:.1f}, p99 {p99:.1f} ms")
    print(f"a p99 of feed below {P99_MS:.0f} ms: {'holds' if holds else 'does NOT hold'}")
    return 0 if holds else 1


def _clean(client: Redis) -> None:
    client.flushall()
    register(client, max_queued=10_000_000)


if __name__ == "__main__":
    sys.exit(main())
