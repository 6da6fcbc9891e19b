"""What a service pays for ``import pushlane``, and what it needs for it."""

import pkgutil
import subprocess
import sys
from importlib.metadata import distribution, packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.processes import environment

import pushlane

HEAVY = {"celery", "kombu", "httpx", "aiohttp", "starlette", "pushlane_worker"}


def imported_by(statement: str) -> set[str]:
    """The top-level packages that a fresh interpreter loads for this statement."""
    words = [sys.executable, "-X", "importtime", "-c", statement]
    process = subprocess.run(words, env=environment(), capture_output=True, text=True, check=True)
    lines = [line.rpartition("|")[2].strip() for line in process.stderr.splitlines() if line.startswith("import time:")]
    return {line.partition(".")[0] for line in lines}


def test_importing_the_producer_library_loads_nothing_heavy() -> None:
    """A web service that only enqueues loads neither Celery nor an HTTP client nor a web framework."""
    loaded = imported_by("import pushlane")
    assert {"pushlane", "redis"} <= loaded
    assert not loaded & HEAVY


def test_a_services_tests_load_nothing_heavy_either() -> None:
    """They need a stand-in for Redis, and neither a worker nor a web framework."""
    loaded = imported_by("import pushlane.testing")
    assert {"pushlane", "fakeredis"} <= loaded
    assert not loaded & HEAVY


def test_the_measurement_sees_what_is_loaded() -> None:
    """The test above would notice: the worker's own modules show up."""
    assert "celery" in imported_by("import celery")


_BARE = """
import importlib, sys
installed = {"pushlane", *sys.stdlib_module_names, *sys.argv[1].split(",")}
class Bare:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in installed:
            raise ModuleNotFoundError(f"{name} is not installed", name=name)
sys.meta_path.insert(0, Bare())
for module in sys.argv[2:]:
    importlib.import_module(module)
"""


def installed_by(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """The distributions that installing this one brings, itself included."""
    found: set[str] = {canonicalize_name(name)}
    for requirement in map(Requirement, distribution(name).requires or ()):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
            found |= installed_by(requirement.name, frozenset(requirement.extras))
    return found


def import_bare(*modules: str) -> subprocess.CompletedProcess[str]:
    """Imports them where only `pip install pushlane`, without any extra, has been run."""
    there = installed_by("pushlane")
    names = [name for name, by in packages_distributions().items() if there & set(map(canonicalize_name, by))]
    words = [sys.executable, "-c", _BARE, ",".join(names), *modules]
    return subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)


def test_every_module_of_the_base_install_is_imported_without_any_extra() -> None:
    """All of ``pushlane`` but its packages, which belong to the worker and the callback, and ``testing``."""
    names = {info.name for info in pkgutil.iter_modules(pushlane.__path__) if not info.ispkg} - {"testing"}
    assert {"producer", "message", "clients"} <= names
    process = import_bare(*(f"pushlane.{name}" for name in sorted(names)))
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("module", ["pushlane.service.logs", "pushlane.callback.app", "celery"])
def test_a_bare_environment_lacks_what_extras_bring(module: str) -> None:
    """The test above would notice."""
    assert "is not installed" in import_bare(module).stderr
