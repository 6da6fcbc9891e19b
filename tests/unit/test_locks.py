"""The lock files of the image name what it needs, in the versions that the tests run with: `make lock` renews them."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "locks"
NEEDED = ("pushlane[worker,callback,otel]", "flower")
"""What the Dockerfile installs."""


def read(file: Path) -> Iterator[tuple[Requirement, int]]:
    """Each requirement of a file, with the number of its hashes."""
    for line in file.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        words, *hashes = re.split(r"\s+--hash=sha256:(?=[0-9a-f]{64}\b)", line.strip())
        yield Requirement(words), len(hashes)


def in_image(requirement: Requirement, extras: Iterable[str] = ("",)) -> bool:
    """Whether it holds for the image's platform."""
    image = {"python_version": "3.13", "python_full_version": "3.13.0", "sys_platform": "linux"}
    marker = requirement.marker
    return marker is None or any(marker.evaluate({**image, "extra": extra}) for extra in extras)


def needed(roots: Iterable[str]) -> set[str]:
    """The names of these and of all that they need there, as the installed packages say."""
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [Requirement(root) for root in roots]
    while todo:
        one = todo.pop()
        name, extras = str(canonicalize_name(one.name)), frozenset(one.extras or {""})
        if (name, extras) not in seen:
            seen.add((name, extras))
            requirements = map(Requirement, metadata.requires(name) or [])
            todo += [requirement for requirement in requirements if in_image(requirement, extras)]
    return {name for name, _ in seen}


@pytest.mark.parametrize("file", ["runtime.txt", "build.txt"])
def test_every_package_has_hashes(file: str) -> None:
    """So pip refuses anything else; an address would tie the image to one package index."""
    assert not [requirement.name for requirement, hashes in read(LOCKS / file) if not hashes]
    assert "://" not in (LOCKS / file).read_text(encoding="utf-8")


def test_the_image_has_the_versions_that_are_tested() -> None:
    """Those of constraints.txt."""
    tested = {one.name: one.specifier for one, _ in read(ROOT / "constraints.txt")}
    other = [str(one) for one, _ in read(LOCKS / "runtime.txt") if one.specifier != tested.get(one.name)]
    assert not other, "run `make lock`"


def test_the_image_has_what_it_needs_and_nothing_else() -> None:
    """Not more, not less: the Dockerfile installs them without looking for dependencies."""
    locked = {one.name for one, _ in read(LOCKS / "runtime.txt") if in_image(one)}
    assert locked == needed(NEEDED) - {"pushlane"}, "run `make lock`"


def test_what_builds_the_wheel_is_locked() -> None:
    """It is the build system of pyproject.toml."""
    pins = {one.name: next(iter(one.specifier)).version for one, _ in read(LOCKS / "build.txt")}
    for wanted in map(Requirement, tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]):
        assert wanted.specifier.contains(pins[wanted.name]), "run `make lock`"
