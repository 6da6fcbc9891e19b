"""What several of these modules use."""

import pytest
from support.callback_settings import Told


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Sets the environment and loads the settings."""
    return Told(monkeypatch)
