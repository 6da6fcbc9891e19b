"""The settings of a callback, from an environment in which all is right but what a test changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushlane.callback.settings import load_callback_settings
from pushlane.errors import SettingsError

if TYPE_CHECKING:
    from pushlane.callback.settings import CallbackSettings, ModerationSettings

SECRET = "s3cr3t-t0ken"
RIGHT = {
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "MODERATION__SDK_APP_IDS": "1400000001",
    "MODERATION__TOKENS": SECRET,
    "API_KEYS__ORDERS__KEY": "0rders-key",
    "API_KEYS__ORDERS__CHANNELS": "support",
    "WEBHOOK__SHOP__TOKEN": "sh0p-token",
    "WEBHOOK__SHOP__RELAY_CHANNEL": "support",
}
ONE_OR_TWO = "must hold one or two secrets of printable ASCII without spaces"


class Told:
    """Loads settings from an environment."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def all(self, **variables: str) -> CallbackSettings:
        """The settings of the right environment with these beside or instead; empty is absent."""
        for name, value in (RIGHT | variables).items():
            self._patch.setenv(f"PUSHLANE_{name}", value)
        return load_callback_settings()

    def moderation(self, **variables: str) -> ModerationSettings:
        """The section MODERATION, with these beside the right ones."""
        found = self.all(**{f"MODERATION__{name}": value for name, value in variables.items()}).moderation
        assert found is not None
        return found

    def error(self, **variables: str) -> str:
        """What is said of such an environment."""
        with pytest.raises(SettingsError) as caught:
            self.all(**variables)
        line = str(caught.value)
        assert "\n" not in line
        assert SECRET not in line + repr(caught.value)
        assert len(line) < 300
        return line
