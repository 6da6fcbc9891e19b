"""The previous release: its wheel, unpacked, is first on the path of the processes that are to run it."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[2]


def unpack(folder: Path) -> Path:
    """The release in this folder, which is empty: the entry of ``PYTHONPATH`` that comes before everything else."""
    (wheel,) = (TESTS / "previous_release").glob("*.whl")
    with zipfile.ZipFile(wheel) as release:
        release.extractall(folder)
    return folder


def running_from(*paths: Path) -> dict[str, str]:
    """The environment of a process that imports from these folders first.

    Python leaves the bytecode of what it imports beside it, by which ``was_imported`` knows.
    """
    return {"PYTHONPATH": ":".join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": ""}


def was_imported(release: Path, module: str) -> bool:
    """Whether a process has imported this module of the release, such as ``pushlane_worker.tasks``."""
    package, _, name = module.rpartition(".")
    folder = release.joinpath(*package.split("."))
    assert (folder / f"{name}.py").exists()
    return any((folder / "__pycache__").glob(f"{name}.*.pyc"))
