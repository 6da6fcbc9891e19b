"""``compose.yaml`` is valid, scales, and its commands and health checks run: here without Docker."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError
from support.ports import free_port
from support.processes import environment, installed, running
from support.recording import recording
from support.waiting import wait_until

from pushlane_worker.embedded import server_binary
from pushlane_worker.settings import load_settings

ROOT = Path(__file__).parents[2]
COMPOSE = str(ROOT / "compose.yaml")
EXAMPLE = ROOT / ".env.example"
PASSWORD = "made-up"
LOGIN = "admin:made-up"
OURS = ("worker", "callback", "flower", "demo")
"""The services that read .env."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the documentation tells users to make it."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(EXAMPLE, folder / ".env")
    (folder / "secrets" / "tokens").mkdir(parents=True)
    (folder / "secrets" / "redis-password").write_text(f"{PASSWORD}\n")
    (folder / "secrets" / "flower-login").write_text(f"{LOGIN}\n")
    return folder


def compose(project: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Compose's own reader, with these variables of a shell."""
    start = [installed("docker-compose"), "-f", COMPOSE, "--project-directory", str(project), "--profile", "*"]
    return subprocess.run([*start, *words], capture_output=True, text=True, check=False, env=environment(**env))


def services_of(project: Path, **env: str) -> dict[str, Any]:
    """The services as Compose reads them with these variables of a shell."""
    seen = compose(project, "config", "--format", "json", **env)
    assert seen.returncode == 0, seen.stderr
    read: dict[str, Any] = json.loads(seen.stdout.replace("$$", "$"))["services"]
    return read


@pytest.fixture(scope="module")
def services(project: Path) -> dict[str, Any]:
    """The services with what the example says."""
    return services_of(project)


PLACES = {
    "password": "/run/redis-password",
    "login": "/run/flower-login",
    "heartbeat": "/tmp/heartbeat",  # noqa: S108 # in a container
}


def replaced(words: list[str], **places: Path) -> list[str]:
    """A command with its places in a container replaced by some of this machine; it must contain each of them."""
    for place, other in places.items():
        assert PLACES[place] in " ".join(words)
        words = [word.replace(PLACES[place], str(other)) for word in words]
    return words


def test_the_file_meets_the_compose_schema() -> None:
    """No field is misspelt."""
    words = [installed("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", COMPOSE]
    seen = subprocess.run(words, capture_output=True, text=True, check=False)
    assert seen.returncode == 0, seen.stdout


def test_compose_accepts_the_file(project: Path) -> None:
    """Compose's own reader has neither an error nor a warning, also about what `make containers` changes."""
    override = ROOT / "tests" / "containers" / "compose.override.yaml"
    for more in ([], ["-f", str(override)]):
        seen = compose(project, *more, "config", "-q")
        assert (seen.returncode, seen.stderr) == (0, "")


def test_there_is_one_source_of_settings(project: Path, tmp_path: Path) -> None:
    """It is .env: it must be there, and a variable that a developer's shell happens to have does not win."""
    written = dict(line.split("=", 1) for line in EXAMPLE.read_text().splitlines() if line and line[0] != "#")
    services = services_of(project, PUSHLANE_REDIS_URL="redis://nowhere", PUSHLANE_BROKER_URL="redis://nowhere")
    for service in OURS:
        assert written.items() <= services[service]["environment"].items()
        assert "PUSHLANE_BROKER_URL" not in services[service]["environment"]
    seen = compose(tmp_path, "config")
    assert (seen.stdout, ".env not found" in seen.stderr) == ("", True)


def test_each_service_that_stays_has_a_health_check_without_python(services: dict[str, Any]) -> None:
    """Starting Python each ten seconds would cost more than what is checked."""
    assert {name for name, service in services.items() if "healthcheck" in service} == {*services} - {"demo"}
    for name, service in services.items():
        assert name == "demo" or "python" not in " ".join(service["healthcheck"]["test"])


def test_secrets_are_files_for_those_who_need_them(services: dict[str, Any], project: Path) -> None:
    """`docker inspect` and `ps` show no password, and Flower sees no token of a channel."""
    text = json.dumps(services)
    assert PASSWORD not in text
    given = {name: {one["source"] for one in service.get("secrets", [])} for name, service in services.items()}
    redis = {"redis-password"}
    assert given.pop("flower") == redis | {"flower-login"}
    assert given == {"redis": redis, "worker": redis, "callback": redis, "demo": redis, "fake-api": set()}
    folders = {
        name: [volume for volume in service.get("volumes", []) if volume["target"] == "/run/secrets"]
        for name, service in services.items()
    }
    assert {name for name, found in folders.items() if found} == {"worker", "callback"}
    for name in ("worker", "callback"):
        (folder,) = folders[name]
        assert (folder["source"], folder["read_only"]) == (str(project / "secrets" / "tokens"), True)


def test_the_examples_are_settings_that_a_worker_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment and of the file, once the tokens are there."""
    for name in ("support-token", "partner-token", "redis-password"):
        (tmp_path / name).write_text("made-up")
    monkeypatch.chdir(tmp_path)
    toml = (ROOT / "docs" / "pushlane.example.toml").read_text().replace("/run/secrets", str(tmp_path))
    (tmp_path / "pushlane.toml").write_text(toml)
    assert set(load_settings().channels) == {"support", "partner"}
    (tmp_path / "pushlane.toml").unlink()
    lines = [line.lstrip("#") for line in EXAMPLE.read_text().splitlines() if line.lstrip("#").startswith("PUSHLANE_")]
    for name, _, value in (line.partition("=") for line in lines if not line.startswith("PUSHLANE_API_KEYS")):
        monkeypatch.setenv(name, value.replace("/run/secrets", str(tmp_path)).replace("/run/", f"{tmp_path}/"))
    settings = load_settings()
    assert (set(settings.channels), settings.broker) == ({"demo", "support"}, "redis://:made-up@redis:6379/0")


def test_workers_can_be_scaled(services: dict[str, Any]) -> None:
    """No fixed name anywhere and no port on the worker: ``--scale worker=3`` meets no conflict."""
    assert not [name for name, service in services.items() if "container_name" in service]
    assert "ports" not in services["worker"]


def test_containers_run_with_the_least_they_need(services: dict[str, Any]) -> None:
    """Read-only, without capabilities, within bounds, and out of reach of other machines."""
    for service in services.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["pids_limit"]
        assert service["mem_limit"]
        assert {port["host_ip"] for port in service.get("ports", [])} <= {"127.0.0.1"}


def test_the_redis_command_starts(services: dict[str, Any], tmp_path: Path, project: Path) -> None:
    """It asks for the password, its flags are ones that the server takes, and they keep what was acknowledged."""
    port, password = free_port(), project / "secrets" / "redis-password"
    (tmp_path / "valkey-server").symlink_to(server_binary())
    env = environment(PATH=f"{tmp_path}:/usr/bin:/bin")
    *shell, script = replaced(services["redis"]["command"], password=password)
    script = script.replace("/tmp/password.conf", str(tmp_path / "password.conf"))  # noqa: S108 # what is replaced
    words = [*shell, f"{script.rstrip()} --port {port} --bind 127.0.0.1 --dir {tmp_path}"]
    with (
        running(words, env=env, cwd=tmp_path, log=tmp_path / "log"),
        Redis.from_url(f"redis://:{PASSWORD}@127.0.0.1:{port}", retry=None) as client,
        Redis.from_url(f"redis://127.0.0.1:{port}", retry=None) as stranger,
    ):

        def answers() -> bool:
            try:
                return bool(client.ping())
            except RedisConnectionError:
                return False

        wait_until(answers, "Redis to answer")
        wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "save": ""}
        assert client.config_get(*wanted) == wanted
        with pytest.raises(AuthenticationError):
            stranger.ping()


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_nothing_is_open_for_want_of_a_password(services: dict[str, Any], tmp_path: Path, content: str | None) -> None:
    """Without one in its file, neither Redis nor Flower starts."""
    file = tmp_path / "file"
    if content is not None:
        file.write_text(content)
    (tmp_path / "valkey-server").symlink_to(server_binary())
    env = environment(PATH=f"{tmp_path}:/usr/bin:/bin")
    for words in (
        replaced(services["redis"]["command"], password=file),
        replaced(services["flower"]["command"], login=file),
    ):
        words[-1] = words[-1].replace("/tmp/password.conf", str(tmp_path / "password.conf"))  # noqa: S108 # what is replaced
        seen = subprocess.run(words, capture_output=True, check=False, env=env, cwd=tmp_path, timeout=30)
        assert seen.returncode not in {0, 127}, seen


def test_the_worker_command_starts(services: dict[str, Any], redis_url: str, tmp_path: Path) -> None:
    """A worker with the example's channel gets ready, and is healthy for as long as its heart beats."""
    program, *arguments = services["worker"]["command"]
    log, heartbeat = tmp_path / "log", tmp_path / "heartbeat"
    settings = services["worker"]["environment"] | {
        "PUSHLANE_REDIS_URL": redis_url,
        "PUSHLANE_REDIS_PASSWORD_FILE": "",
        "PUSHLANE_HEARTBEAT_FILE": str(heartbeat),
    }
    kind, check = replaced(services["worker"]["healthcheck"]["test"], heartbeat=heartbeat)
    assert kind == "CMD-SHELL"

    def healthy() -> bool:
        return subprocess.run(["sh", "-c", check], check=False, stderr=subprocess.DEVNULL).returncode == 0

    assert not healthy()
    with running([installed(program), *arguments], env=environment(**settings), cwd=tmp_path, log=log) as worker:
        wait_until(lambda: worker.poll() is not None or b"ready" in log.read_bytes(), "the worker", timeout_s=60)
        assert worker.poll() is None, log.read_text()
        assert healthy()
    os.utime(heartbeat, (time.time() - 20,) * 2)
    assert not healthy()


def check_of(service: dict[str, Any], port: int) -> int:
    """The exit code of a service's health check, against a port of this machine."""
    (own,) = {one for one in ("8080", "5555", "8400") if one in service["healthcheck"]["test"][-1]}
    kind, *words = [word.replace(own, str(port)) for word in service["healthcheck"]["test"]]
    assert kind == "CMD"
    return subprocess.run(words, check=False, capture_output=True, timeout=30).returncode


def test_the_flower_command_starts(services: dict[str, Any], redis_url: str, tmp_path: Path, project: Path) -> None:
    """With its login and the address of Redis it answers its health check."""
    words = replaced(services["flower"]["command"], login=project / "secrets" / "flower-login")
    words[-1] = words[-1].replace("celery", installed("celery"))
    port, log = free_port(), tmp_path / "log"
    env = environment(PUSHLANE_REDIS_URL=redis_url, FLOWER_PORT=str(port), FLOWER_ADDRESS="127.0.0.1")
    assert check_of(services["flower"], port) != 0
    with running(words, env=env, cwd=tmp_path, log=log) as flower:

        def healthy() -> bool:
            return check_of(services["flower"], port) == 0

        wait_until(lambda: flower.poll() is not None or healthy(), "Flower", timeout_s=60)
        assert flower.poll() is None, log.read_text()


@pytest.mark.parametrize("name", ["callback", "flower", "fake-api"])
def test_a_service_that_answers_with_an_error_is_not_healthy(services: dict[str, Any], name: str) -> None:
    """As one that nobody can reach."""
    with recording(lambda _: 200) as server:  # answers every GET with 501
        assert check_of(services[name], int(server.url.rpartition(":")[2])) == 1
