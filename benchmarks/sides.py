"""What is measured. Each side has its own Redis and its own real worker processes.

A side whose turn it is not is stopped (SIGSTOP), so that sides can alternate without starting their workers again, and
none disturbs another.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final, Protocol

from support.processes import environment, installed, running
from support.stack import channel_settings
from support.waiting import wait_until

from benchmarks import peer_environments
from benchmarks.places import ROOT
from benchmarks.redis_server import RedisServer, redis_server
from pushlane import Producer, RoomMessage
from pushlane.operators.inspection import Inspector
from pushlane_worker.child_process import tied_to_parent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.api_client import ApiClient
    from benchmarks.backlog import Backlog
    from benchmarks.bench import Bench

CHANNEL: Final = "support"
CALL: Final = 1000
"""Messages a ``send_many``."""


class Side(Protocol):
    """One of the things that are compared."""

    def fill(self, backlog: Backlog) -> None:
        """Enqueues, while the workers are stopped."""

    def go(self) -> None:
        """Lets the workers run."""

    def stop(self) -> None:
        """Waits until they have nothing left to do, and stops them."""


class Workers:
    """Worker processes, each with its children in a process group of its own."""

    def __init__(self, groups: Sequence[int]) -> None:
        self.groups = groups

    def go(self) -> None:
        """Lets them run."""
        self._signal(signal.SIGCONT)

    def freeze(self) -> None:
        """Stops them where they are."""
        self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        for group in self.groups:
            os.killpg(group, number)


class Pushlane:
    """Pushlane with real workers."""

    def __init__(self, server: RedisServer, workers: Workers) -> None:
        self.server, self.workers = server, workers

    def fill(self, backlog: Backlog) -> None:
        """1,000 a call."""
        messages = (RoomMessage(room, text) for room, text in backlog)
        with Producer(self.server.url, timeout=30) as producer:
            while call := list(itertools.islice(messages, CALL)):
                producer.send_many(CHANNEL, call)

    def go(self) -> None:
        """Lets the workers run."""
        self.workers.go()

    def stop(self) -> None:
        """Once everything is settled."""
        with Inspector(self.server.url) as inspector:
            wait_until(lambda: (state := inspector.overview(CHANNEL)) and state.depth == 0, "everything to be settled")
        self.workers.freeze()


class Peer:
    """A task queue with real workers."""

    def __init__(self, name: str, server: RedisServer, workers: Workers, env: Mapping[str, str]) -> None:
        self._name, self.server, self.workers, self._env = name, server, workers, env

    def fill(self, backlog: Backlog) -> None:
        """One task a message."""
        sizes = [str(backlog.messages), str(backlog.rooms), backlog.prefix, backlog.text]
        words = [peer_environments.command(self._name, "python"), "-m", "benchmarks.peers.feed", self._name, *sizes]
        subprocess.run(words, check=True, env=self._env, cwd=ROOT)

    def go(self) -> None:
        """Lets the workers run."""
        self.workers.go()

    def stop(self) -> None:
        """At once: a task has ended when its push is answered."""
        self.workers.freeze()


class Bare:
    """A program without a queue: ``bare.py``."""

    def __init__(self, how: str, api: ApiClient, in_flight: int = 64) -> None:
        self._how, self._api, self._in_flight = how, api, in_flight
        self._process: subprocess.Popen[bytes] | None = None

    def fill(self, backlog: Backlog) -> None:
        """Notes how much it is."""
        self._sizes = [str(backlog.messages // backlog.batch), str(backlog.batch), str(self._in_flight)]

    def go(self) -> None:
        """Starts it."""
        words = tied_to_parent([sys.executable, "-m", "benchmarks.bare", self._how, self._api.url, *self._sizes])
        self._process = subprocess.Popen(words, cwd=ROOT)

    def stop(self) -> None:
        """Waits for its end."""
        assert self._process is not None
        assert self._process.wait(30) == 0


@contextlib.contextmanager
def pushlane(
    bench: Bench, *, workers: int = 1, concurrency: int = 1, in_flight: int = 64, **settings: object
) -> Iterator[Pushlane]:
    """Pushlane with so many ``pushlane worker -c``; ``settings`` are the channel's."""
    with redis_server(bench.program) as server, contextlib.ExitStack() as exits:
        channel = channel_settings(bench.api.url, CHANNEL, max_queued=10_000_000, **settings)
        env = environment(
            PUSHLANE_REDIS_URL=server.url,
            PUSHLANE_MAX_IN_FLIGHT=str(in_flight),
            PUSHLANE_LOG_LEVEL="WARNING",
            **channel,
        )
        words = [installed("pushlane"), "worker", "-c", str(concurrency)]
        groups = [exits.enter_context(_worker(words, env, bench.folder)) for _ in range(workers)]
        with Inspector(server.url) as inspector:
            wait_until(lambda: inspector.overview(CHANNEL), "the workers to start", 60)
        yield Pushlane(server, Workers(groups))


@contextlib.contextmanager
def celery(bench: Bench, *arguments: str) -> Iterator[Peer]:
    """Plain Celery; ``arguments`` choose its pool."""
    words = ["celery", "-A", "benchmarks.peers.celery_app", "worker", *arguments]
    with _peer(bench, "celery", words) as peer:
        yield peer


@contextlib.contextmanager
def celery_batches(bench: Bench) -> Iterator[Peer]:
    """celery-batches with two processes."""
    words = ["celery", "-A", "benchmarks.peers.celery_batches_app", "worker", "-c", "2"]
    with _peer(bench, "celery_batches", words) as peer:
        yield peer


@contextlib.contextmanager
def taskiq(bench: Bench) -> Iterator[Peer]:
    """The fastest asyncio task queue that we found, with one process, as Pushlane with ``-c 1``."""
    words = [
        "taskiq",
        "worker",
        "benchmarks.peers.taskiq_app:broker",
        "--workers",
        "1",
        "--max-async-tasks",
        "64",
        "--max-prefetch",
        "64",
        "--log-level",
        "WARNING",
    ]
    with _peer(bench, "taskiq", words) as peer:
        yield peer


@contextlib.contextmanager
def _peer(bench: Bench, name: str, words: Sequence[str]) -> Iterator[Peer]:
    with redis_server(bench.program) as server:
        env = environment(BENCH_REDIS=server.url, BENCH_API=bench.api.url, PYTHONPATH=str(ROOT))
        with _worker([peer_environments.command(name, words[0]), *words[1:]], env, bench.folder) as group:
            yield Peer(name, server, Workers([group]), env)


@contextlib.contextmanager
def _worker(words: Sequence[str], env: Mapping[str, str], folder: Path) -> Iterator[int]:
    log = folder / f"worker-{len(list(folder.iterdir()))}.log"
    with running(tied_to_parent(words), env=env, cwd=folder, log=log, patient=False) as process:
        yield process.pid
