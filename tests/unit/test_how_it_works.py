"""The reading tables of docs/how-it-works.md, the maps of the packages, and the code that they describe."""

import pkgutil
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import pushlane
import pushlane_worker
from pushlane_worker.cli.commands import COMMANDS

ROOT = Path(__file__).parents[2]
WORKER = "worker/pushlane_worker/"
PATH_FILES = 9
"""How many files someone reads to follow a message."""


def tables() -> list[list[str]]:
    """The files of each reading table, from the root."""
    text = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| file \|.*\n\| ---.*\n((?:\|.*\n)*)", text, re.MULTILINE)
    return [
        [
            name.replace("…/", WORKER)
            for row in rows.splitlines()
            for name in re.findall(r"`([\w…/]+\.(?:py|lua))`", row)
        ]
        for rows in found
    ]


def test_every_file_of_the_reading_tables_exists() -> None:
    """A file that is renamed is renamed in its row too."""
    assert [name for table in tables() for name in table if "/" in name and not (ROOT / name).is_file()] == []


def test_the_way_of_a_message_has_nine_files() -> None:
    """A tenth is a reason to think again."""
    way = [name for name in tables()[0] if "/" in name]
    assert len(way) <= PATH_FILES


def packages() -> list[ModuleType]:
    """All of ours."""
    found = [pushlane, pushlane_worker]
    for top in tuple(found):
        names = (info.name for info in pkgutil.walk_packages(top.__path__, f"{top.__name__}.") if info.ispkg)
        found += [import_module(name) for name in names]
    return found


@pytest.mark.parametrize("package", packages(), ids=lambda package: str(package.__name__))
def test_a_package_opens_with_a_map_of_its_modules(package: ModuleType) -> None:
    """Each module has a line, or a place in another one's; commands are listed by the command line itself."""
    modules = {info.name for info in pkgutil.iter_modules(package.__path__) if info.name != "__main__"}
    if package.__name__ == "pushlane_worker.cli":
        modules -= {name.replace("-", "_") for name in COMMANDS}
    opening = package.__doc__ or ""
    assert [name for name in sorted(modules) if not re.search(rf"(^    |; ){name}\b", opening, re.MULTILINE)] == []
    listed, (folder,) = re.findall(r"^    (\w+) {2,}\S", opening, re.MULTILINE), package.__path__
    assert [name for name in listed if not (Path(folder, name).is_dir() or Path(folder, f"{name}.py").is_file())] == []
