"""Settings from an environment that holds nothing else."""

from collections.abc import Mapping

import pytest

from pushlane.errors import SettingsError
from pushlane_worker.channel_settings import ChannelSettings
from pushlane_worker.settings import Settings, load_settings

SECRET = "s3cr3t-t0ken"
ROOT = {"PUSHLANE_REDIS_URL": "redis://127.0.0.1:1/0"}
"""Where nothing listens, as a Redis may on the usual port."""
CHANNEL = {
    "PUSHLANE_CHANNELS__SUPPORT__KIND": "cinnox",
    "PUSHLANE_CHANNELS__SUPPORT__BASE_URL": "https://api.example.com",
    "PUSHLANE_CHANNELS__SUPPORT__APP_ID": "app",
    "PUSHLANE_CHANNELS__SUPPORT__TOKEN": SECRET,
}
THIRD_PARTY = {
    "PUSHLANE_CHANNELS__SUPPORT__KIND": "third_party",
    "PUSHLANE_CHANNELS__SUPPORT__URL": "https://hook.example.com/webhookUrl",
    "PUSHLANE_CHANNELS__SUPPORT__TOKEN": SECRET,
}


class Tell:
    """Loads settings from an environment."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def __call__(self, **channel: str) -> ChannelSettings:
        """The channel ``support``, with these settings of it beside the right ones."""
        names = {f"PUSHLANE_CHANNELS__SUPPORT__{name.upper()}": value for name, value in channel.items()}
        return self.all({**ROOT, **CHANNEL, **names}).channels["support"]

    def all(self, variables: Mapping[str, str]) -> Settings:
        """The settings of exactly these variables."""
        for name, value in variables.items():
            self._patch.setenv(name, value)
        return load_settings()

    def error(self, channel: Mapping[str, str] = CHANNEL, /, **variables: str) -> str:
        """What is said of the right environment with these of its variables replaced, or left out if empty."""
        names = {f"PUSHLANE_{name}": value for name, value in variables.items()}
        with pytest.raises(SettingsError) as caught:
            self.all({**ROOT, **channel, **names})
        line = str(caught.value)
        assert "\n" not in line
        assert SECRET not in line + repr(caught.value)
        return line
