"""An operator's module, and one that ends the process that loads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.policy_pool import MODULE

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of an operator's, on the path."""
    (tmp_path / "own_code.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "leaves.py").write_text("import os\nos._exit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
