"""Docker's and Compose's command lines."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from support.processes import environment, installed

ROOT = Path(__file__).parents[2]
OVERRIDE = Path(__file__).with_name("compose.override.yaml")
SHELL = {"PUSHLANE_REDIS_URL": "redis://nowhere", "REDIS_PASSWORD": "wrong"}
"""What a developer's shell may hold: .env wins."""


class NoDocker(Exception):  # it says what is not there
    """There is no Docker that can be used."""


def run(*words: str, ok: bool = True) -> str:
    """The output of a command. Raises CalledProcessError, unless a failure is ``ok=False``."""
    return subprocess.run(
        words,
        check=ok,
        text=True,
        stdout=subprocess.PIPE,
        stderr=None if ok else subprocess.DEVNULL,
        env=_environment(),
    ).stdout


def _environment() -> dict[str, str]:
    return environment(**SHELL)


def require() -> str:
    """What there is, in a line. Raises NoDocker."""
    if shutil.which("docker") is None:
        raise NoDocker("there is no docker on the PATH")
    seen = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, check=False
    )
    if seen.returncode:
        raise NoDocker(seen.stderr.strip().splitlines()[-1])
    return f"Docker {seen.stdout.strip()}, Compose {run(*_compose_command(), 'version', '--short').strip()}"


def _compose_command() -> list[str]:
    """Docker's plugin, or the Compose that the tests bring."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return ["docker", "compose"] if plugin.returncode == 0 else [installed("docker-compose")]


def inspect(container: str) -> dict[str, Any]:
    """All that Docker knows of a container."""
    (seen,) = json.loads(run("docker", "inspect", container))
    return dict(seen)


def health(container: str) -> str:
    """``starting``, ``healthy`` or ``unhealthy``; of a container that does not run, its state."""
    state = inspect(container)["State"]
    return str(state["Health"]["Status"] if state["Running"] else state["Status"])


def execute(container: str, script: str, *, ok: bool = True) -> str:
    """The output of a shell in the container."""
    return run("docker", "exec", container, "sh", "-c", script, ok=ok).strip()


class Compose:
    """The project in a folder of its own, so that neither .env nor secrets of the checkout are touched."""

    def __init__(self, folder: Path, name: str) -> None:
        self._words = [*_compose_command(), "-p", name, "--project-directory", str(folder), "--progress", "quiet"]
        self._words += ["-f", str(ROOT / "compose.yaml"), "-f", str(OVERRIDE), "--profile", "callback"]
        self._words += ["--profile", "demo"]

    def __call__(self, *words: str) -> str:
        """The output of a command of Compose's."""
        return run(*self._words, *words)

    def containers(self, *services: str) -> list[str]:
        """The names of these services' containers, or of all."""
        return sorted(self("ps", "--all", "--format", "{{.Name}}", *services).split())

    def container(self, service: str) -> str:
        """The name of the only one of a service."""
        (name,) = self.containers(service)
        return name

    def address(self, service: str, port: int) -> str:
        """Where a port of a service can be reached from here; it is another one after each start."""
        return "http://" + self("port", service, str(port)).strip()

    def scale(self, workers: int) -> None:
        """Starts or stops workers."""
        self("up", "-d", "--no-build", "--no-recreate", "--scale", f"worker={workers}", "worker")
