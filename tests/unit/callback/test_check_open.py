"""Where the callback listens without a token, and that there is something to serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.callback_settings import RIGHT

from pushlane.callback.server import check_open
from pushlane.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from support.callback_settings import Told

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_without_a_token_it_listens_on_loopback(told: Told, host: str) -> None:
    """For a first look, on one's own machine."""
    check_open(told.all(MODERATION__TOKENS=""), host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.0.2.1", "example.com", "127.0.0.1.example.com", "::ffff:0:0"]
)
def test_without_a_token_it_listens_nowhere_else(told: Told, host: str) -> None:
    """Unless it is told which networks may ask."""
    with pytest.raises(SettingsError, match=r"^PUSHLANE_MODERATION__TOKENS: is missing"):
        check_open(told.all(MODERATION__TOKENS=""), host)
    check_open(
        told.all(MODERATION__TOKENS="", MODERATION__UNSIGNED="true", MODERATION__SOURCE_NETWORKS="10.0.0.0/8"), host
    )


def test_without_moderation_webhooks_keys_and_page_there_is_nothing_to_serve(told: Told, tmp_path: Path) -> None:
    """A callback that would answer 404 to all is a forgotten setting."""
    nothing = dict.fromkeys((name for name in RIGHT if name != "REDIS_URL"), "")
    with pytest.raises(SettingsError, match="nothing to serve"):
        check_open(told.all(**nothing), "127.0.0.1")
    for section in ("API_KEYS", "WEBHOOK"):
        one = {name: value for name, value in RIGHT.items() if name.startswith(section)}
        check_open(told.all(**nothing | one), "0.0.0.0")
    password = tmp_path / "password"
    password.write_text("correct-horse")
    check_open(told.all(**nothing, DASHBOARD__PASSWORD_FILE=str(password)), "0.0.0.0")
