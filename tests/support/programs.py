"""Programs that tests marked ``programs`` need, and that ``make setup`` does not bring."""

from __future__ import annotations

import shutil

import pytest


def program(name: str) -> str:
    """The path of a program; fails the test if there is none, since `make test-programs` installs it."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is not installed: on Debian, `make test-programs` as root installs it")
    return path
