"""What the demo runs on: its own server, the fake API, a Celery worker and optionally Flower.

It uses nothing of the user's. The settings of its processes are a file in its own folder, and it uses its own server
even if the environment names a Redis.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pushlane.operators.inspection import Inspector
from pushlane.service.configuration import CONFIG_VARIABLE, PREFIX
from pushlane_worker.cli import child_processes, worker
from pushlane_worker.cli.exit_codes import Failed, Refused, explain
from pushlane_worker.embedded import EmbeddedServer, free_port
from pushlane_worker.fake_api.client import FakeApiClient
from pushlane_worker.fake_api.control import DEMO_APP_ID, DEMO_TOKEN
from pushlane_worker.settings import load_addresses

START_S = 30.0
POLL_S = 0.1
FLOWER_COLUMNS = "name,uuid,state,result,retries,worker,received,runtime,exception"
"""A drain's details are in its result; docs/operations.md and compose.yaml use the same columns."""
CHANNEL = "demo"
FLOWER_PORT = 5555
FAILURES = "0.05"
LATENCY_S = "0.02"


@dataclass(frozen=True, slots=True)
class Stage:
    """The running parts."""

    redis_url: str
    api: FakeApiClient
    worker: subprocess.Popen[bytes]
    flower_url: str | None

    def check(self) -> None:
        """Raises Failed when the worker has ended."""
        if self.worker.poll() is not None:
            raise Failed(f"the worker ended with exit code {self.worker.returncode}")


@contextlib.contextmanager
def stage(sabotage: str | None, tell: Callable[[str], None], *, flower: bool) -> Iterator[Stage]:
    """Starts everything, and stops it at the end. The folder with the logs is kept if something failed."""
    if flower and importlib.util.find_spec("flower") is None:
        raise Refused("--flower: Flower is not installed: run `pip install 'pushlane[demo]'`")
    with contextlib.ExitStack() as exits:
        given = load_addresses()
        server = exits.enter_context(EmbeddedServer())
        if "redis_url" in given.model_fields_set:
            tell("PUSHLANE_REDIS_URL is not used: the demo has its own server")
        tell(f"own server at {server.url}, pid {server.pid}")
        folder = exits.enter_context(_folder())
        api_url = exits.enter_context(_fake_api(folder, sabotage))
        tell(f"fake API at {api_url}: 5 % of the pushes answer 503")
        (folder / "demo.toml").write_text(_settings(server.url, api_url), encoding="utf-8")
        env = _environment(folder)
        words = worker.command_line("INFO", ("-c", "2"))
        process = exits.enter_context(child_processes.child(words, env=env, log=folder / "worker.log"))
        tell(f"worker: celery -A pushlane_worker worker, pid {process.pid}")
        flower_url = exits.enter_context(_flower(env, folder)) if flower else None
        running = Stage(server.url, FakeApiClient(api_url), process, flower_url)
        _wait(lambda: _registered(running), "the worker to start")
        yield running


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pushlane-demo-"))
    try:
        yield folder
    except Exception as error:
        ending = explain(error)
        if ending is None:
            raise
        raise Failed(f"{ending[0]}; the logs are in {folder}") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _settings(redis_url: str, api_url: str) -> str:
    top = {"redis_url": redis_url, "retention_s": 600, "idempotency_window_s": 600}
    own = {
        "kind": "cinnox",
        "base_url": api_url,
        "app_id": DEMO_APP_ID,
        "token": DEMO_TOKEN,
        "rate_limit": "none",
        "backoff_base_s": 0.2,
    }
    # A JSON string or number is also valid TOML.
    lines = [f"{name} = {json.dumps(value)}" for name, value in top.items()]
    lines += [f"[channels.{CHANNEL}]", *(f"{name} = {json.dumps(value)}" for name, value in own.items())]
    return "\n".join(lines) + "\n"


def _environment(folder: Path) -> dict[str, str]:
    """This process's environment, with the demo's settings instead of the user's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return kept | {CONFIG_VARIABLE: str(folder / "demo.toml")}


@contextlib.contextmanager
def _fake_api(folder: Path, sabotage: str | None) -> Iterator[str]:
    words = [sys.executable, "-P", "-m", "pushlane_worker.cli", "fake-api", "--port", "0", "--fail", FAILURES]
    words += ["--latency", LATENCY_S, *([f"--{sabotage}", "1"] if sabotage else [])]
    with child_processes.child(words, env=os.environ, log=folder / "fake-api.log", stdout=subprocess.PIPE) as process:
        url = process.stdout.readline().decode().strip() if process.stdout else ""
        if not url:
            raise Failed("the fake API did not start")
        yield url


@contextlib.contextmanager
def _flower(env: Mapping[str, str], folder: Path) -> Iterator[str]:
    port = FLOWER_PORT if _is_free(FLOWER_PORT) else free_port()
    words = [*worker.CELERY, "flower", "--address=127.0.0.1", f"--port={port}", f"--tasks_columns={FLOWER_COLUMNS}"]
    with child_processes.child(words, env=env, log=folder / "flower.log") as process:
        _wait(lambda: process.poll() is not None or not _is_free(port), "Flower to start")
        if process.poll() is not None:
            raise Failed("Flower did not start")
        yield f"http://127.0.0.1:{port}"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _registered(running: Stage) -> bool:
    """Whether the worker is up: it registers its channels once its pool is running."""
    running.check()
    with Inspector(running.redis_url) as inspector:
        return inspector.limits(CHANNEL) is not None


def _wait(predicate: Callable[[], bool], what_for: str) -> None:
    deadline = time.monotonic() + START_S
    while not predicate():
        if time.monotonic() > deadline:
            raise Failed(f"gave up after waiting {START_S:g} s for {what_for}")
        time.sleep(POLL_S)
