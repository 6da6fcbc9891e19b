"""Passwords of Redis in files, so that the environment, which many can see, contains none."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import quote

from pushlane.errors import SettingsError

_ENDS: Final = "/?#"
"""What ends the part of an address that names the login and the servers."""


def with_password(url: str, file: str | Path, name: str = "REDIS") -> str:
    """The address with the file's password in it. Everything else about the address is checked later.

    Args:
        url: The address, from ``PUSHLANE_<NAME>_URL``.
        file: The file, from ``PUSHLANE_<NAME>_PASSWORD_FILE``; it holds the password and nothing else.
        name: ``REDIS`` or ``BROKER``, for errors.

    Raises:
        SettingsError: The file cannot be read, is empty or has several lines, or the address has a password of its own.
    """
    setting = f"PUSHLANE_{name}_PASSWORD_FILE"
    scheme, separator, rest = url.partition("://")
    end = min(rest.index(one) if one in rest else len(rest) for one in _ENDS)
    user, _, servers = rest[:end].rpartition("@")
    if ":" in user:
        raise SettingsError(setting, f"is set, but PUSHLANE_{name}_URL has a password too")
    password = quote(_read(Path(file), setting), safe="")
    return f"{scheme}{separator}{user}:{password}@{servers}{rest[end:]}"


def _read(file: Path, setting: str) -> str:
    try:
        password = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(setting, f"{file} cannot be read: {error.strerror}") from None
    except ValueError:  # its message would show a part of the password
        raise SettingsError(setting, f"{file} cannot be read: it is not UTF-8") from None
    if not password:
        raise SettingsError(setting, f"{file} is empty")
    if len(password.splitlines()) > 1:
        raise SettingsError(setting, f"{file} has several lines: it must hold the password and nothing else")
    return password
