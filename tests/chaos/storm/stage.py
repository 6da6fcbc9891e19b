"""What a storm runs on: a Redis, the chat API, three workers and their producers, each behind a link of its own.

The rate limit is one that the load reaches.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from chaos.storm.fleet import Worker
from chaos.storm.lines import Lines
from chaos.storm.options import LEASE_S, PUSH_DEADLINE_S
from chaos.storm.plan import CHANNELS, WORKERS
from chaos.storm.proxy import HOST, Links
from chaos.storm.server import Server
from redis import Redis
from support.processes import environment
from support.stack import FakeApi, channel_settings, third_party_settings
from support.waiting import wait_until

from pushlane.operators.inspection import Inspector
from pushlane_worker.child_process import tied_to_parent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chaos.storm.options import SendOptions

RATE: Final = 40
WINDOW_S: Final = 2.0
API_WAY_S: Final = 0.1
"""Each way to the API: long enough that many pushes are in flight when a fault strikes, and not yet arrived."""
START_S: Final = 120.0
TESTS: Final = Path(__file__).parents[2]
STYLES: Final = ("sync", "async")


@dataclass(slots=True)
class Stage:
    """The running parts, and what the nemesis may do to them."""

    options: SendOptions
    folder: Path
    server: Server
    links: Links
    api: FakeApi
    workers: dict[str, Worker]
    lines: Lines
    producers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    helpers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    producers_port: int = 0

    def ready(self) -> None:
        """Waits until both channels are registered."""

        def registered() -> bool:
            with Inspector(self.server.url) as inspector:
                return len(inspector.channels()) == len(CHANNELS)

        wait_until(registered, "the workers to register their channels", START_S)

    def supervise(self, *, again: bool = True) -> int:
        """How many workers run, after those that ended were started again."""
        for helper in self.helpers:
            if helper.poll() is not None:
                raise RuntimeError(f"a part of the storm itself ended with {helper.returncode}; see {self.folder}")
        return sum([worker.supervise(again=again) for worker in self.workers.values()])

    def start_producers(self, seconds: float) -> None:
        """Starts the producers, who produce for this long."""
        for number, style in enumerate(STYLES):
            config = {
                "name": f"p{number}",
                "style": style,
                "redis_url": f"redis://{HOST}:{self.producers_port}/0",
                "seed": self.options.seed,
                "seconds": seconds,
                "per_second": self.options.per_second / len(STYLES),
                "folder": str(self.folder),
            }
            self.producers.append(_python(self, f"p{number}", "chaos.storm.producers", json.dumps(config)))


@contextlib.contextmanager
def stage(options: SendOptions, folder: Path, source: Sequence[Path]) -> Iterator[Stage]:
    """Everything up, and killed at the end; ``source`` is where the workers' code lies, if not here."""
    server = Server(options.server, folder)
    with contextlib.ExitStack() as exits:
        lines = Lines(folder / "storm.jsonl")
        links = exits.enter_context(Links(lines))
        exits.callback(server.kill)
        exits.callback(server.resume)
        server.start()
        running = Stage(options, folder, server, links, FakeApi(""), {}, lines)
        exits.callback(_end, running)
        running.api = _start_api(running)
        running.producers_port = links.lay("producers-redis", server.port)
        for name in WORKERS:
            running.workers[name] = Worker(name, _worker_environment(running, name, source), folder, running.lines)
            running.workers[name].start()
        running.ready()
        yield running


def broker(running: Stage) -> Redis:
    """A client of Celery's database alone."""
    return Redis.from_url(running.server.broker_url, socket_timeout=2)


def _start_api(running: Stage) -> FakeApi:
    process = _python(running, "api", "chaos.storm.api", str(running.folder / "api.jsonl"))
    running.helpers.append(process)
    log = running.folder / "api.log"
    return FakeApi(wait_until(lambda: log.read_text().partition("\n")[0], "the API to start", START_S))


def _worker_environment(running: Stage, name: str, source: Sequence[Path]) -> dict[str, str]:
    redis = running.links.lay(f"{name}-redis", running.server.port)
    port = running.links.lay(f"{name}-api", urlsplit(running.api.url).port or 0, API_WAY_S)
    api = f"http://{HOST}:{port}"
    own: dict[str, object] = {"backoff_base_s": 0.2, "backoff_cap_s": 3, "breaker_cap_s": 1, "max_attempts": 9999}
    own["on_unknown"] = running.options.on_unknown
    settings = channel_settings(api, "support", **own | {"rate_limit": f"{RATE}/{WINDOW_S:g}s"})
    settings |= third_party_settings(api, "partner", **own)
    settings |= {
        "PUSHLANE_REDIS_URL": f"redis://{HOST}:{redis}/0",
        "PUSHLANE_BROKER_URL": f"redis://{HOST}:{redis}/1",
        "PUSHLANE_LEASE_S": str(LEASE_S),
        "PUSHLANE_PUSH_DEADLINE_S": str(PUSH_DEADLINE_S),
        "PYTHONPATH": ":".join(map(str, source)),
    }
    return environment(**settings)


def _python(running: Stage, name: str, module: str, argument: str) -> subprocess.Popen[bytes]:
    with (running.folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            tied_to_parent([sys.executable, "-m", module, argument]),
            env=environment(PYTHONPATH=str(TESTS)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,
        )


def _end(running: Stage) -> None:
    for worker in running.workers.values():
        worker.kill()
        worker.supervise(again=False)
    for process in [*running.producers, *running.helpers]:
        process.kill()
        process.wait()
