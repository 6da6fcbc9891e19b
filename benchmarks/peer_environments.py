"""Virtual environments of the peers, each made on first use from its pinned requirements."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.places import PEERS, REQUIREMENTS

if TYPE_CHECKING:
    from pathlib import Path


def command(environment: str, name: str) -> str:
    """The path of a command in the environment ``environment``, which is made if it is missing or out of date."""
    return str(_folder(environment) / "bin" / name)


def _folder(environment: str) -> Path:
    requirements, folder = REQUIREMENTS / f"{environment}.txt", PEERS / environment
    stamp, wanted = folder / "made-from", hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {environment} into {folder}", file=sys.stderr)
        for words in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)],
        ):
            subprocess.run(words, check=True)
        stamp.write_text(wanted)
    return folder
