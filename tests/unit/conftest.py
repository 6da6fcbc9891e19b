"""What the tests of the settings load them from."""

from pathlib import Path

import pytest
from support.environment import Tell

from pushlane_worker.settings import Settings


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting and no file of the developer's has a say."""
    for variable in Settings.model_fields:
        monkeypatch.delenv(f"PUSHLANE_{variable.upper()}", raising=False)
    monkeypatch.delenv("PUSHLANE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch) -> Tell:
    """Sets the environment to these variables beside the right ones, and loads the settings."""
    return Tell(monkeypatch)
