"""Both releases on one Redis and one API: two workers and one producer of each, and their supervisor."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from chaos.storm.api import POISON
from chaos.storm.fleet import Worker
from chaos.storm.lines import Lines, read_lines
from chaos.storm.options import LEASE_S, PUSH_DEADLINE_S
from chaos.versions.previous import TESTS, running_from, unpack, was_imported
from support.processes import Process, environment, running
from support.stack import FakeApi, channel_settings
from support.waiting import wait_until

import pushlane

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

Release = Literal["old", "new"]
RATE: Final = (1000, 10)
"""More than the load."""
PER_SECOND: Final = 12.0
"""Messages that one producer asks for."""
START_S: Final = 120.0


@dataclass(slots=True)
class Fleet:
    """The running parts. Workers that end are started again, as long as those of their release are wanted."""

    folder: Path
    redis_url: str
    api: FakeApi
    releases: dict[Release, Path | None]
    seed: int
    lines: Lines
    exits: contextlib.ExitStack
    workers: dict[Release, list[Worker]] = field(default_factory=lambda: {"old": [], "new": []})
    producers: dict[str, Process] = field(default_factory=dict)
    wanted: set[Release] = field(default_factory=set)
    producing: set[str] = field(default_factory=set)

    def start_workers(self, release: Release) -> None:
        """Starts the two workers of a release and waits until they consume."""
        # The evidence has no tracebacks in folders below its own: the old release may not know what it meets.
        folder = self.folder / "old" if release == "old" else self.folder
        folder.mkdir(exist_ok=True)
        self.wanted.add(release)
        if not self.workers[release]:
            names = (f"{release}{number}" for number in range(2))
            self.workers[release] += [Worker(name, self._environment(release), folder, self.lines) for name in names]
        for worker in self.workers[release]:
            worker.start()
        wait_until(lambda: self.supervise() and all(one.is_ready for one in self.workers[release]), "workers", START_S)
        source = self.releases[release]
        assert source is None or was_imported(source, "pushlane_worker.tasks")

    def end_workers(self, release: Release) -> None:
        """SIGTERM to the workers of a release; waits until they have ended."""
        self.wanted.discard(release)
        for worker in self.workers[release]:
            worker.terminate()
        wait_until(lambda: not self.supervise()[release], "the workers to end", START_S)

    def supervise(self) -> dict[Release, int]:
        """How many workers of each release run, after those that ended were started again."""
        for name in self.producing:
            code = self.producers[name].poll()
            assert code is None, f"the {name} producer ended with {code}; see {self.folder}"
        return {
            release: sum([worker.supervise(again=release in self.wanted) for worker in workers])
            for release, workers in self.workers.items()
        }

    def kill_one(self, chance: random.Random) -> bool:
        """SIGKILL to one of the workers that consume, and its children; whether there was one."""
        ready = [worker for workers in self.workers.values() for worker in workers if worker.is_ready]
        if ready:
            self._kill(chance.choice(ready))
        return bool(ready)

    def kill_and_await(self, release: Release) -> None:
        """SIGKILL to a worker of this release; waits until it consumes again, and so registers its channel."""
        worker = self.workers[release][0]
        self._kill(worker)
        wait_until(lambda: self.supervise()[release] and worker.is_ready, "the worker to be back", START_S)

    def _kill(self, worker: Worker) -> None:
        worker.kill()
        self.lines.write("fault", fault="kill_worker", target=worker.name, begins=True)

    def start_producer(self, release: Release, name: str = "") -> None:
        """Starts a producer of a release, of its name, and waits until it has imported that release."""
        name = name or release
        config = {
            "name": name,
            "redis_url": self.redis_url,
            "seed": self.seed,
            "per_second": PER_SECOND,
            "folder": str(self.folder),
            "poison": POISON,
        }
        source = self.releases[release]
        paths = [*([source] if source else []), TESTS]
        words = [sys.executable, "-P", "-m", "chaos.versions.producer_program", json.dumps(config)]
        env = environment(**running_from(*paths))
        log = self.folder / f"producer-{name}.log"
        self.producing.add(name)
        self.producers[name] = self.exits.enter_context(
            running(words, env=env, cwd=self.folder, log=log, patient=False)
        )
        flow = self.folder / f"flow-{name}.jsonl"
        first = wait_until(lambda: flow.exists() and next(read_lines(flow), None), "the producer to start", START_S)
        assert isinstance(first, dict)
        assert first["file"] == (pushlane.__file__ if source is None else str(source / "pushlane" / "__init__.py"))

    def end_producer(self, name: str) -> None:
        """SIGTERM to a producer, which then does all that it still has to do."""
        producer = self.producers[name]
        self.producing.discard(name)
        producer.terminate()
        wait_until(lambda: self.supervise() and producer.poll() is not None, "the producer to end", START_S)
        assert producer.returncode == 0, f"the {name} producer ended with {producer.returncode}; see {self.folder}"

    def _environment(self, release: Release) -> dict[str, str]:
        own: dict[str, object] = {"backoff_base_s": 0.2, "backoff_cap_s": 3, "max_attempts": 9999}
        own |= {"on_unknown": "retry", "rate_limit": f"{RATE[0]}/{RATE[1]}s"}
        settings = channel_settings(self.api.url, "support", **own)
        settings |= {
            "PUSHLANE_REDIS_URL": self.redis_url,
            "PUSHLANE_LEASE_S": str(LEASE_S),
            "PUSHLANE_PUSH_DEADLINE_S": str(PUSH_DEADLINE_S),
        }
        source = self.releases[release]
        return environment(**settings, **running_from(*([source] if source else [])))


@contextlib.contextmanager
def fleet(folder: Path, redis_url: str, seed: int) -> Iterator[Fleet]:
    """The API up, and nothing else yet; everything is killed at the end."""
    folder.mkdir()
    with contextlib.ExitStack() as exits:
        log, record = folder / "api.log", folder / "api.jsonl"
        words = [sys.executable, "-P", "-m", "chaos.storm.api", str(record)]
        exits.enter_context(running(words, env=environment(PYTHONPATH=str(TESTS)), cwd=folder, log=log, patient=False))
        url = wait_until(lambda: log.read_text().partition("\n")[0], "the API to start", START_S)
        releases: dict[Release, Path | None] = {"old": unpack(folder / "previous"), "new": None}
        started = Fleet(folder, redis_url, FakeApi(url), releases, seed, Lines(folder / "storm.jsonl"), exits)
        exits.callback(_kill, started)
        yield started


def _kill(started: Fleet) -> None:
    started.wanted.clear()
    started.producing.clear()
    for workers in started.workers.values():
        for worker in workers:
            worker.kill()
    wait_until(lambda: not any(started.supervise().values()), "the killed workers to end")
