"""Secrets in the settings: read from the environment or from a file, and compared in constant time."""

import hmac
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, SecretStr
from pydantic_core import PydanticCustomError

from pushlane.errors import SettingsError

MAX_SECRETS: Final = 2
"""The current one and the next one, while it is being changed."""
_SECRET: Final = re.compile(r"[\x21-\x7e]+")


class SecretSettings(BaseModel):
    """A section whose secrets are in the environment or in a file; its errors show none of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def is_one_of(secrets: Sequence[str], given: str) -> bool:
    """Whether it is one of the secrets, in a time that reveals nothing about them."""
    presented = given.encode(errors="surrogateescape")
    matches = [hmac.compare_digest(secret.encode(), presented) for secret in secrets]  # a list: compares all of them
    return any(matches)


def bearer(authorization: Sequence[str]) -> str:
    """The token in a request's values of the header Authorization; empty unless there is just one, of this kind."""
    kind, _, token = authorization[0].partition(" ") if len(authorization) == 1 else ("", "", "")
    return token.strip() if kind.lower() == "bearer" else ""


def wrong(setting: str, problem: str) -> PydanticCustomError:
    """The error for a setting that does not fit the others."""
    return PydanticCustomError("together", "{problem}", {"problem": problem, "setting": [setting]})


def read_secrets(name: str, given: Sequence[SecretStr], file: Path | None, most: int) -> tuple[str, ...]:
    """The secrets, 1 to ``most``, without surrounding blanks: those given, or those in the file, one per line.

    Raises:
        SettingsError: With this name for the setting, and ``_FILE`` behind it for the file.
    """
    secrets = [secret.get_secret_value() for secret in given]
    if file is not None:
        name = f"{name}_FILE"
        try:
            secrets = file.read_text(encoding="utf-8").split("\n")
        except OSError as error:
            raise SettingsError(name, f"{file} cannot be read: {error.strerror}") from None
        except ValueError:  # its message would show a part of the secret
            raise SettingsError(name, f"{file} cannot be read: it is not UTF-8") from None
    stripped = tuple(secret.strip() for secret in secrets if secret.strip())
    if not 1 <= len(stripped) <= most or any(not _SECRET.fullmatch(secret) for secret in stripped):
        many = "one secret" if most == 1 else "one or two secrets"
        raise SettingsError(name, f"must hold {many} of printable ASCII without spaces")
    return stripped
