"""The reading tables of docs/how-it-works.md and the code they describe."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKER = "worker/pushlane_worker/"
PACKAGES = ("producer/pushlane", "worker/pushlane_worker", "worker/pushlane_worker/channels")


def named_files() -> list[str]:
    """The files of the two tables, from the root; a name without a directory is beside the one before it."""
    files: list[str] = []
    for line in (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8").splitlines():
        if not line.startswith(("| `producer/", "| `…/")):
            continue
        directory = ""
        for name in re.findall(r"`([\w…/]+\.(?:py|lua))`", line.split(" | ")[0]):
            path = name.replace("…/", WORKER) if "/" in name else directory + name
            directory = path.rpartition("/")[0] + "/"
            files.append(path)
    return files


def test_every_file_of_the_reading_tables_exists() -> None:
    """A file that is renamed is renamed in its row too."""
    assert [name for name in named_files() if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_reading_tables_leave_out_no_module(package: str) -> None:
    """A new module is put into its row; what is in a package of its own, such as the callback, has a section."""
    modules = {f"{package}/{path.name}" for path in (ROOT / package).glob("*.py") if path.name != "__init__.py"}
    assert modules - set(named_files()) == set()
