"""A whole Pushlane on this machine: the stand-in for the chat API, and Celery workers as a user starts them."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from support.processes import Process, environment, installed, running
from support.waiting import wait_until
from support.warm_processes import Warm

from pushlane.clients import connect
from pushlane.keys import channel_prefix
from pushlane_worker.fake_api.client import FakeApiClient
from pushlane_worker.fake_api.control import Control

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator, Mapping

    from pushlane import Producer, Receipt
    from pushlane_worker.fake_api.reports import Summary

START_S = 60.0
_WORKERS_IMPORTS = (
    "celery.__main__",
    "celery.app.amqp",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.worker.consumer",
    "billiard.popen_fork",
    "billiard.sharedctypes",
    "cffi.cparser",
    "kombu.pidbox",
    "kombu.transport.redis",
    "pushlane_worker.broker",
    "pushlane_worker.channels.cinnox",
    "pushlane_worker.channels.third_party",
    "pushlane_worker.dispatcher_step",
    "pushlane_worker.drains.loop_thread",
    "pushlane_worker.json_log",
    "pushlane_worker.library_log",
    "pushlane_worker.metrics_server",
    "pushlane_worker.monitoring",
    "pushlane_worker.task_message",
)


def channel_settings(api: str, name: str = "support", **settings: object) -> dict[str, str]:
    """The environment of one ``cinnox`` channel that pushes to the stand-in at ``api``, without a rate limit."""
    address = {"kind": "cinnox", "base_url": api, "app_id": Control().app_id}
    return _environment(name, {**address, **settings})


def third_party_settings(api: str, name: str = "partner", **settings: object) -> dict[str, str]:
    """The environment of one ``third_party`` channel that pushes to the stand-in at ``api``."""
    return _environment(name, {"kind": "third_party", "url": f"{api}/third-party", **settings})


def _environment(name: str, settings: Mapping[str, object]) -> dict[str, str]:
    values = {"token": Control().token, "rate_limit": "none", **settings}
    return {f"PUSHLANE_CHANNELS__{name.upper()}__{key.upper()}": str(value) for key, value in values.items()}


class FakeApi(FakeApiClient):
    """The client of a stand-in, which knows its address."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


@functools.cache
def _warm_apis() -> Warm:
    return Warm("support.fake_api_program:main", "support.fake_api_program", "aiohttp.web")


@contextlib.contextmanager
def fake_api(**control: object) -> Iterator[FakeApi]:
    """The stand-in as a process of its own."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as told, open(os.devnull) as nothing:  # noqa: PTH123 - no path
        with os.fdopen(writing):
            process = _warm_apis().start(
                ["fake-api", json.dumps(control)], env=environment(), cwd="/", streams=[nothing.fileno(), writing, 2]
            )
        try:
            yield FakeApi(told.readline().strip())
        finally:
            process.kill()
            process.wait()


@functools.cache
def warm_workers() -> Warm:
    """Where Celery workers begin. Whatever imports our app stays out: it reads the addresses when it is imported."""
    return Warm("celery.__main__:main", *_WORKERS_IMPORTS)


@dataclass
class Worker:
    """A ``celery -A pushlane_worker worker`` in a process group of its own."""

    process: Process
    log: Path
    registered: Callable[[], bool]

    def ready(self) -> Self:
        """Waits until it consumes."""
        wait_until(lambda: " ready." in self.log.read_text() or self._died(), "the worker to be ready", START_S)
        wait_until(self.registered, "its channels to be registered")
        return self

    def kill_group(self, number: signal.Signals) -> None:
        """The signal to the worker and its pool children at once."""
        os.killpg(self.process.pid, number)

    def stop(self) -> int:
        """SIGTERM to the worker alone; waits for its exit code."""
        self.process.terminate()
        return self.process.wait(30)

    def children(self) -> int:
        """How many pool processes it has (Linux)."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        return sum(len((task / "children").read_text().split()) for task in tasks.iterdir())

    def _died(self) -> bool:
        assert self.process.poll() is None, f"the worker ended with {self.process.returncode}:\n{self.log.read_text()}"
        return False


@dataclass
class Stack:
    """Starts workers against one server and one stand-in; its ``close`` kills them."""

    redis_url: str
    api: FakeApi
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    _exit: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def environment(self) -> dict[str, str]:
        """What its processes are told."""
        return environment(PUSHLANE_REDIS_URL=self.redis_url, **self.settings)

    def worker(self, *arguments: str) -> Worker:
        """Starts a worker with these arguments for Celery; does not wait for it."""
        number = next(self._numbers)
        log = self.folder / f"worker{number}.log"
        words = [installed("celery"), "-A", "pushlane_worker", "worker", "--without-gossip", "--without-mingle"]
        words += ["-n", f"worker{number}@test", "-l", "INFO", *arguments]
        process = self._exit.enter_context(
            running(words, env=self.environment, cwd=self.folder, log=log, patient=False, warm=warm_workers())
        )
        return Worker(process, log, self._registered)

    def close(self) -> None:
        """Kills the workers."""
        self._exit.close()

    def record(self) -> Summary:
        """What the stand-in has seen."""
        return self.api.record()

    def wait_for(self, accepted: int, timeout_s: float = 60) -> Summary:
        """Waits until the stand-in has accepted this many messages."""
        wait_until(lambda: self.record().accepted >= accepted, f"{accepted} messages at the API", timeout_s)
        return self.record()

    @staticmethod
    def state(producer: Producer, receipt: Receipt) -> str | None:
        """The state of the message, as its producer sees it."""
        status = producer.status(receipt.channel, receipt.message_id)
        return status.state if status else None

    def wait_for_state(self, producer: Producer, receipt: Receipt, state: str) -> None:
        """Waits until the message is in this state."""
        wait_until(lambda: self.state(producer, receipt) == state, f"the message to be {state}")

    def _registered(self) -> bool:
        names = {name.split("__")[1].lower() for name in self.settings if name.startswith("PUSHLANE_CHANNELS__")}
        with connect(self.redis_url, timeout=10) as client:
            return all(client.exists(f"{channel_prefix(name)}channel") for name in names)

    def depth(self, channel: str = "support") -> int:
        """How many messages wait or are in flight."""
        with connect(self.redis_url, timeout=10) as client:
            counted: Any = client.hget(f"{channel_prefix(channel)}counters", "depth")
        return int(counted or 0)

    def leases(self, channel: str = "support") -> int:
        """How many conversations of the channel are leased."""
        with connect(self.redis_url, timeout=10) as client:
            return int(client.zcard(f"{channel_prefix(channel)}leases"))
