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
from pushlane_worker.settings import load_settings

ROOT = Path(__file__).parents[2]
COMPOSE = str(ROOT / "compose.yaml")
EXAMPLE = ROOT / ".env.example"

# What .env would bring: a worker without a channel has nothing to do.
CHANNEL = {
    "PUSHLANE_CHANNELS__SUPPORT__KIND": "cinnox",
    "PUSHLANE_CHANNELS__SUPPORT__BASE_URL": "http://127.0.0.1:9",
    "PUSHLANE_CHANNELS__SUPPORT__APP_ID": "app",
    "PUSHLANE_CHANNELS__SUPPORT__TOKEN": "made-up",
}


def compose(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Compose's own reader, with ``.env.example`` in the place of ``.env``, and these variables of a shell."""
    start = [installed("docker-compose"), "-f", COMPOSE, "--env-file", str(EXAMPLE), "--profile", "callback"]
    return subprocess.run([*start, *words], capture_output=True, text=True, check=False, env=environment(**env))


def services_with(**env: str) -> dict[str, Any]:
    """The services as Compose reads them with these variables."""
    seen = compose("config", "--format", "json", **env)
    assert seen.returncode == 0, seen.stderr
    read: dict[str, Any] = json.loads(seen.stdout)["services"]
    return read


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services with nothing but the example's variables."""
    return services_with()


def test_the_file_meets_the_compose_schema() -> None:
    """No field is misspelt."""
    words = [installed("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", COMPOSE]
    seen = subprocess.run(words, capture_output=True, text=True, check=False)
    assert seen.returncode == 0, seen.stdout


def test_compose_accepts_the_file() -> None:
    """Compose's own reader has neither an error nor a warning."""
    seen = compose("config", "-q")
    assert (seen.returncode, seen.stderr) == (0, "")


@pytest.mark.parametrize("missing", ["REDIS_PASSWORD", "FLOWER_BASIC_AUTH"])
def test_nothing_is_open_for_want_of_a_password(missing: str) -> None:
    """Without it Compose starts nothing, and says where to set it."""
    seen = compose("config", **{missing: ""})
    assert seen.stdout == ""
    assert f"required variable {missing} is missing a value: set it" in seen.stderr
    assert "see .env.example" in seen.stderr


def test_addresses_of_ones_own_reach_every_service() -> None:
    """Those of .env are not overridden; without any, all have the one of the Redis beside them."""
    names = ("PUSHLANE_REDIS_URL", "PUSHLANE_BROKER_URL")
    beside = "redis://:change-me@redis:6379/0"
    for given, expected in (
        ({}, (beside, beside)),
        ({names[0]: "redis://own"}, ("redis://own", "redis://own")),
        ({names[0]: "redis://own", names[1]: "redis://broker"}, ("redis://own", "redis://broker")),
    ):
        seen = services_with(**given)
        for service in ("worker", "callback", "flower"):
            assert tuple(seen[service]["environment"][name] for name in names) == expected


def test_each_service_that_listens_has_a_health_check(services: dict[str, Any]) -> None:
    """Compose knows which of them do not answer."""
    assert {name for name, service in services.items() if "healthcheck" in service} == {"redis", "callback", "flower"}


def test_the_secrets_are_where_the_example_looks_for_them(services: dict[str, Any]) -> None:
    """The folder beside the file, for reading, and not for Flower."""
    for name in ("worker", "callback"):
        (folder,) = [volume for volume in services[name]["volumes"] if volume["target"] == "/run/secrets"]
        assert (folder["source"], folder["read_only"]) == (str(ROOT / "secrets"), True)
    assert not services["flower"].get("volumes")


def test_the_examples_are_settings_that_a_worker_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment and of the file, once the tokens are there."""
    (tmp_path / "support-token").write_text("made-up")
    (tmp_path / "partner-token").write_text("made-up")
    monkeypatch.chdir(tmp_path)
    toml = (ROOT / "docs" / "pushlane.example.toml").read_text().replace("/run/secrets", str(tmp_path))
    (tmp_path / "pushlane.toml").write_text(toml)
    assert set(load_settings().channels) == {"support", "partner"}
    (tmp_path / "pushlane.toml").unlink()
    lines = [line.lstrip("#") for line in EXAMPLE.read_text().splitlines() if "PUSHLANE_" in line and "=" in line]
    for name, _, value in (line.partition("=") for line in lines if not line.startswith("PUSHLANE_API_KEYS")):
        monkeypatch.setenv(name, value.replace("/run/secrets", str(tmp_path)))
    settings = load_settings()
    assert (set(settings.channels), settings.broker.startswith("rediss://")) == ({"support"}, True)


def test_workers_can_be_scaled(services: dict[str, Any]) -> None:
    """No fixed name anywhere and no port on the worker: ``--scale worker=3`` meets no conflict."""
    assert not [name for name, service in services.items() if "container_name" in service]
    assert "ports" not in services["worker"]


def test_containers_run_with_the_least_they_need(services: dict[str, Any]) -> None:
    """Read-only, without capabilities; Flower reaches this machine alone and sees no token."""
    for service in services.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert [port["host_ip"] for port in services["flower"]["ports"]] == ["127.0.0.1"]
    assert set(services["flower"]["environment"]) <= {
        "PUSHLANE_REDIS_URL",
        "PUSHLANE_BROKER_URL",
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
        Redis.from_url(f"redis://:change-me@127.0.0.1:{port}", retry=None) as client,
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
