"""``compose.yaml`` is valid, scales, and its commands start: here each runs as it stands there, only without Docker."""

import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from support.processes import environment, installed, running
from support.waiting import wait_until

from pushlane_worker.embedded import free_port, server_binary

ROOT = Path(__file__).parents[2]
COMPOSE = str(ROOT / "compose.yaml")

# What .env would bring: a worker without a channel has nothing to do.
CHANNEL = {
    "PUSHLANE_CHANNELS__SUPPORT__KIND": "cinnox",
    "PUSHLANE_CHANNELS__SUPPORT__BASE_URL": "http://127.0.0.1:9",
    "PUSHLANE_CHANNELS__SUPPORT__APP_ID": "app",
    "PUSHLANE_CHANNELS__SUPPORT__TOKEN": "made-up",
}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services as Compose itself reads them."""
    seen = subprocess.run(
        [installed("docker-compose"), "-f", COMPOSE, "--profile", "callback", "config", "--format", "json"],
        capture_output=True,
        check=True,
        env=environment(),
    )
    read: dict[str, Any] = json.loads(seen.stdout)["services"]
    return read


def test_the_file_meets_the_compose_schema() -> None:
    """No field is misspelt."""
    words = [installed("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", COMPOSE]
    seen = subprocess.run(words, capture_output=True, text=True, check=False)
    assert seen.returncode == 0, seen.stdout


def test_compose_accepts_the_file() -> None:
    """Compose's own reader has neither an error nor a warning."""
    words = [installed("docker-compose"), "-f", COMPOSE, "config", "-q"]
    seen = subprocess.run(words, capture_output=True, text=True, check=False, env=environment())
    assert (seen.returncode, seen.stderr) == (0, "")


def test_workers_can_be_scaled(services: dict[str, Any]) -> None:
    """No fixed name anywhere and no port on the worker: ``--scale worker=3`` meets no conflict."""
    assert not [name for name, service in services.items() if "container_name" in service]
    assert "ports" not in services["worker"]


def test_containers_run_with_the_least_they_need(services: dict[str, Any]) -> None:
    """Read-only, without capabilities; Flower reaches this machine alone and sees no token."""
    for name in ("worker", "flower"):
        service = services[name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert [port["host_ip"] for port in services["flower"]["ports"]] == ["127.0.0.1"]
    assert set(services["flower"]["environment"]) <= {
        "PUSHLANE_REDIS_URL",
        "FLOWER_BASIC_AUTH",
        "FLOWER_TASKS_COLUMNS",
    }


def test_the_redis_command_starts(services: dict[str, Any], tmp_path: Path) -> None:
    """Its flags are ones that the server takes, and they keep what was acknowledged."""
    program, *flags = services["redis"]["command"]
    assert program == "valkey-server"
    port = free_port()
    words = [str(server_binary()), *flags, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]

    with (
        running(words, env=environment(), cwd=tmp_path, log=tmp_path / "log"),
        Redis.from_url(f"redis://127.0.0.1:{port}", retry=None) as client,
    ):

        def answers() -> bool:
            try:
                return bool(client.ping())
            except RedisConnectionError:
                return False

        wait_until(answers, "Redis to answer")
        wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "save": ""}
        assert client.config_get(*wanted) == wanted


def test_the_worker_command_starts(services: dict[str, Any], redis_url: str, tmp_path: Path) -> None:
    """A worker with one channel and the address of its Redis gets ready."""
    program, *arguments = services["worker"]["command"]
    log = tmp_path / "log"
    env = environment(PUSHLANE_REDIS_URL=redis_url, **CHANNEL)
    with running([installed(program), *arguments], env=env, cwd=tmp_path, log=log) as worker:
        wait_until(lambda: worker.poll() is not None or b"ready" in log.read_bytes(), "the worker", timeout_s=60)
        assert worker.poll() is None, log.read_text()


def test_the_flower_command_starts(services: dict[str, Any], redis_url: str, tmp_path: Path) -> None:
    """Flower answers with nothing but the address of Redis in its environment."""
    program, *arguments = services["flower"]["command"]
    port = free_port()
    log = tmp_path / "log"
    env = environment(PUSHLANE_REDIS_URL=redis_url, FLOWER_PORT=str(port), FLOWER_ADDRESS="127.0.0.1")
    with running([installed(program), *arguments], env=env, cwd=tmp_path, log=log) as flower:

        def healthy() -> bool:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthcheck", timeout=5) as answer:
                    return bool(answer.status == 200)
            except urllib.error.URLError:
                return False

        wait_until(lambda: flower.poll() is not None or healthy(), "Flower", timeout_s=60)
        assert flower.poll() is None, log.read_text()
