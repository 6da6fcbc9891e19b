"""A worker, a callback and their Redis that a real Prometheus watches, with a channel for each kind of trouble."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx
from support.callback import Callback, c2c, callback, moderation
from support.ports import free_port
from support.processes import Process, environment, installed, running
from support.prometheus import Prometheus, prometheus
from support.server_process import ServerProcess
from support.stack import FakeApi, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Producer, RoomMessage
from pushlane.clients import connect
from pushlane.keys import channel_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

REJECTED: Final = "BAD"
STUCK: Final = "stuck"
"""A channel, and its room, whose pushes fail."""
VICTIM: Final = "victim"
"""A channel, and its room, whose pushes hang; its Celery queue is that of a worker that a test kills."""
FULL: Final = 5
UNJUDGED: Final = "unjudged"
"""A text at which the policy raises."""
RELAYED: Final = "relayed"
"""A text that is relayed to a channel that is not registered."""
_START_S: Final = 60.0
_OWN: Final = f"""
from pushlane import RoomMessage
from pushlane.callback.routing import Route

class Fails:
    name = "fails"

    def judge(self, message):
        if message.text == "{UNJUDGED}":
            raise RuntimeError("no")

policy = Fails()

def route(message):
    return Route("nowhere", RoomMessage("r", message.text)) if message.text == "{RELAYED}" else None
"""


@dataclass
class Fleet:
    """What a test needs to make trouble, and to see who notices."""

    folder: Path
    server: ServerProcess
    api: FakeApi
    settings: Mapping[str, str]
    callback: Callback
    prometheus: Prometheus
    victim_port: int

    def send(self, channel: str, *rooms: str, text: str = "hello") -> None:
        """Enqueues one message for each of these rooms."""
        with Producer(self.server.url) as producer:
            producer.send_many(channel, [RoomMessage(room, text) for room in rooms])

    def moderate(self, number: int, text: str) -> None:
        """Has the callback asked about a message."""
        with httpx.Client() as client:
            self.callback.ask(client, c2c(number, text))

    @contextlib.contextmanager
    def worker(self, port: int, *words: str) -> Iterator[Process]:
        """One more worker, whose metrics are at this port."""
        with _worker(self.folder, self.server.url, self.settings, port, *words) as process:
            yield process

    @contextlib.contextmanager
    def without_redis(self) -> Iterator[None]:
        """Kills the server; at the end it is back, and everybody has noticed."""
        self.server.kill()
        try:
            yield
        finally:
            self.server.start()
            wait_until(lambda: self.prometheus.ask("min(pushlane_redis_up) == 1"), "all to be back at Redis")


@contextlib.contextmanager
def watched_fleet(folder: Path) -> Iterator[Fleet]:
    """Starts everything, and waits until Prometheus has read the worker and the callback."""
    token = folder / "metrics-token"
    token.write_text("made-up-and-long-enough-for-metrics")
    (folder / "own.py").write_text(_OWN)
    worker_port, victim_port = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        server = ServerProcess(folder / "redis", ["--appendonly", "yes"])
        stack.callback(server.close)
        server.start()
        api = stack.enter_context(
            fake_api(reject_text=REJECTED, fail={"room": STUCK}, stall={"room": VICTIM, "seconds": 60})
        )
        failing = stack.enter_context(fake_api(down=500))
        throttling = stack.enter_context(fake_api(throttle="60"))
        channels = {
            **channel_settings(failing.url, "broken", breaker_after=2),
            **channel_settings(throttling.url, "throttled"),
            **_healthy_channels(api.url),
        }
        settings = {**_settings(folder, token), **channels}
        running_callback = stack.enter_context(callback(folder, server.url, settings))
        stack.enter_context(_worker(folder, server.url, settings, worker_port, "-Q", "pushlane,pushlane.enqueue"))
        jobs = {
            "pushlane-worker": [f"127.0.0.1:{worker_port}", f"127.0.0.1:{victim_port}"],
            "pushlane-callback": [running_callback.url.removeprefix("http://")],
        }
        watching = stack.enter_context(prometheus(folder, jobs, token))
        wait_until(lambda: len(watching.ask("up == 1")) == 2, "Prometheus to read worker and callback", _START_S)
        yield Fleet(folder, server, api, settings, running_callback, watching, victim_port)


def _healthy_channels(api: str) -> dict[str, str]:
    """Channels whose API works."""
    return {
        **channel_settings(api, "support"),
        **channel_settings(api, "late", rate_limit="1/60s"),
        **channel_settings(api, "limited", rate_limit="1/60s"),
        **channel_settings(api, "paused"),
        **channel_settings(api, STUCK),
        **channel_settings(api, "small", max_queued=FULL),
        **channel_settings(api, "lonely", queue="nobody"),
        **channel_settings(api, VICTIM, queue=VICTIM),
    }


def _settings(folder: Path, token: Path) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return {
        "PUSHLANE_METRICS_TOKEN_FILE": str(token),
        "PUSHLANE_PUSH_DEADLINE_S": "5",
        "PUSHLANE_LEASE_S": "6",
        "PYTHONPATH": path,
        **moderation(folder, policies="own:policy", routing="own:route"),
    }


@contextlib.contextmanager
def _worker(folder: Path, redis_url: str, settings: Mapping[str, str], port: int, *words: str) -> Iterator[Process]:
    log = folder / f"worker-{port}.log"
    command = [installed("pushlane"), "worker", "--metrics-port", str(port), "-c", "1", *words]
    with running(
        command, env=environment(PUSHLANE_REDIS_URL=redis_url, **settings), cwd=folder, log=log, patient=False
    ) as process:

        def ready() -> bool:
            assert process.poll() is None, log.read_text()
            return " ready." in log.read_text()

        wait_until(ready, "the worker to be ready", _START_S)
        with connect(redis_url, timeout=10) as client:
            names = {name.split("__")[1].lower() for name in settings if name.startswith("PUSHLANE_CHANNELS__")}
            wait_until(lambda: all(client.exists(f"{channel_prefix(name)}channel") for name in names), "its channels")
        yield process
