"""Producers in processes of their own, against a Redis that no worker reads."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.channels import register
from support.processes import environment

from benchmarks import peer_environments
from benchmarks.places import ROOT
from benchmarks.redis_server import RedisServer, redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.bench import Bench


def ours(url: str, how: str, *arguments: str) -> str:
    """Runs one of ``calls.py``; what it prints."""
    return _run([sys.executable, "-m", "benchmarks.calls", how, url, *arguments], url)


def celerys(url: str, how: str, *arguments: str) -> str:
    """Runs one of ``peers/celery_calls.py``; what it prints."""
    python = peer_environments.command("celery", "python")
    return _run([python, "-m", "benchmarks.peers.celery_calls", how, *arguments], url)


@dataclass(frozen=True, slots=True)
class Producers:
    """Measures each on an empty Redis."""

    server: RedisServer

    def ours(self, how: str) -> float:
        """What one of ``calls.py`` comes to, a second."""
        self._clean()
        return float(ours(self.server.url, how))

    def celerys(self, how: str) -> float:
        """What one of ``peers/celery_calls.py`` comes to, a second."""
        self._clean()
        return float(celerys(self.server.url, how))

    def _clean(self) -> None:
        self.server.client.flushall()
        register(self.server.client, max_queued=10_000_000)


@contextlib.contextmanager
def producers(bench: Bench) -> Iterator[Producers]:
    """With a Redis of their own."""
    with redis_server(bench.program) as server:
        yield Producers(server)


def _run(words: list[str], url: str) -> str:
    # Our own words; a test's own environment must not leak in.
    done = subprocess.run(
        words, check=True, cwd=ROOT, env=environment(BENCH_REDIS=url, PYTHONPATH=str(ROOT)), stdout=subprocess.PIPE
    )
    return done.stdout.decode()
