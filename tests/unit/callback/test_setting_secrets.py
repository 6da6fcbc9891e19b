"""Secrets in the callback's settings: where they may stand, how many there are, and that none is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.callback_settings import ONE_OR_TWO, SECRET

from pushlane.errors import SettingsError
from pushlane.service.credentials import is_one_of

if TYPE_CHECKING:
    from pathlib import Path

    from support.callback_settings import Told

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        (b"one\n", ("one",)),
        (b"one", ("one",)),
        (b"one\r\ntwo\r\n\r\n", ("one", "two")),
        (b"  one  \n\n\ntwo", ("one", "two")),
    ],
)
def test_a_tokens_file_holds_one_token_or_two(
    told: Told, tmp_path: Path, content: bytes, tokens: tuple[str, ...]
) -> None:
    """A line each, however the editor ended the lines."""
    (tmp_path / "tokens").write_bytes(content)
    assert told.moderation(TOKENS="", TOKENS_FILE="tokens").read_tokens() == tokens


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "missing cannot be read: No such file or directory"),
        (b"", ONE_OR_TWO),
        (b"\n \n", ONE_OR_TWO),
        (b"a\nb\nc", ONE_OR_TWO),
        (b"two words", ONE_OR_TWO),
        (SECRET.encode() + b"\xff", "cannot be read: it is not UTF-8"),
        (b"\0", ONE_OR_TWO),
    ],
)
def test_a_tokens_file_without_tokens_is_refused(
    told: Told, tmp_path: Path, content: bytes | None, problem: str
) -> None:
    """An empty one is a secret that was not mounted, and not the wish to go without."""
    path = tmp_path / "missing"
    if content is not None:
        path.write_bytes(content)
    line = told.error(MODERATION__TOKENS="", MODERATION__TOKENS_FILE=str(path))
    assert line.startswith("PUSHLANE_MODERATION__TOKENS_FILE: ")
    assert problem in line


def test_key_files_are_read_too(told: Told, tmp_path: Path) -> None:
    """A key in a file is one line."""
    path = tmp_path / "key"
    path.write_text("0ther\n")
    by_file = {"API_KEYS__ORDERS__KEY": "", "API_KEYS__ORDERS__KEY_FILE": str(path)}
    keys = told.all(**by_file).api_keys
    assert keys["orders"].read_key() == "0ther"
    for content in ("", "a\nb", "two words"):
        path.write_text(content)
        assert told.error(**by_file).startswith("PUSHLANE_API_KEYS__ORDERS__KEY_FILE: must hold one secret of")
    path.unlink()
    assert "cannot be read" in told.error(**by_file)


def test_the_page_needs_a_password_that_nobody_guesses(told: Told, tmp_path: Path) -> None:
    """Read anew each time; too short, missing or empty is one line without it, and there is no page by default."""
    assert told.all().dashboard is None
    path = tmp_path / "password"
    path.write_text("correct-horse\n")
    settings = told.all(DASHBOARD__PASSWORD_FILE=str(path), DASHBOARD__TRUSTED_PROXIES="10.0.0.1")
    assert settings.dashboard
    assert settings.dashboard.read_password() == "correct-horse"
    assert [str(one) for one in settings.trusted_proxies] == ["10.0.0.1/32"]
    path.write_text("elevenchars")
    with pytest.raises(SettingsError, match="at least 12 characters") as caught:
        settings.dashboard.read_password()
    assert "elevenchars" not in str(caught.value)
    for content in ("elevenchars", "", "correct-horse\nbattery-staple"):
        path.write_text(content)
        assert told.error(DASHBOARD__PASSWORD_FILE=str(path)).startswith("PUSHLANE_DASHBOARD__PASSWORD_FILE: must hold")
    path.unlink()
    assert "cannot be read" in told.error(DASHBOARD__PASSWORD_FILE=str(path))
    assert "is missing: A file with the password" in told.error(DASHBOARD__PASSWORD_FILE="")


def test_two_services_have_two_keys(told: Told) -> None:
    """Otherwise one of them would have the other's channels."""
    line = told.error(API_KEYS__BILLING__KEY="0rders-key", API_KEYS__BILLING__CHANNELS="billing")
    assert "is also the key of" in line
    assert "0rders-key" not in line


def test_a_webhook_has_a_token_or_two_and_goes_to_its_user(told: Told, tmp_path: Path) -> None:
    """Two in its file while it changes."""
    section = told.all(WEBHOOK__SHOP__RELAY_TO="").webhook["shop"]
    assert (section.read_tokens(), section.relay_channel, section.relay_to) == (("sh0p-token",), "support", "{userId}")
    path = tmp_path / "tokens"
    by_file = {"WEBHOOK__SHOP__TOKEN": "", "WEBHOOK__SHOP__TOKEN_FILE": str(path)}
    path.write_text("0ld\nn3w\n")
    assert told.all(**by_file).webhook["shop"].read_tokens() == ("0ld", "n3w")
    for content in ("", "a\nb\nc", "two words"):
        path.write_text(content)
        assert told.error(**by_file).startswith(f"PUSHLANE_WEBHOOK__SHOP__TOKEN_FILE: {ONE_OR_TWO}")
    path.unlink()
    assert "cannot be read" in told.error(**by_file)


def test_two_webhooks_have_two_tokens(told: Told, tmp_path: Path) -> None:
    """Otherwise one of them would have the other's messages; also when it is the second line of a file."""
    both = {"WEBHOOK__BAZAAR__RELAY_CHANNEL": "support"}
    line = told.error(**both, WEBHOOK__BAZAAR__TOKEN="sh0p-token")
    assert "is also the token of" in line
    assert "sh0p-token" not in line
    path = tmp_path / "tokens"
    path.write_text("0ther\nsh0p-token\n")
    line = told.error(**both, WEBHOOK__BAZAAR__TOKEN="", WEBHOOK__BAZAAR__TOKEN_FILE=str(path))
    assert "is also the token of" in line


def test_no_secret_is_shown(told: Told) -> None:
    """Neither a token nor a key is in what a debugger or a traceback prints."""
    shown = repr(told.all())
    assert not [secret for secret in (SECRET, "0rders-key", "sh0p-token") if secret in shown]


def test_a_secret_is_one_of_those_that_are_known() -> None:
    """Byte for byte, whatever a header holds; and nothing is one of none."""
    assert is_one_of(["a", "b"], "b")
    assert not is_one_of(["a", "b"], "c")
    assert not is_one_of(["a"], "a\udcff")
    assert not is_one_of(["é"], "\xc3\xa9")
    assert not is_one_of([], "")
