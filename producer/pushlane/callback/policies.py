"""The chain that the settings name: built-in policies, and a service's own by Python path."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pushlane.callback.blocked_words import BlockedWords, load_words
from pushlane.callback.length import Length
from pushlane.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushlane.callback.settings import ModerationSettings, PolicySettings
    from pushlane.callback.verdict import Policy

BLOCKED_WORDS = "blocked_words"
LENGTH = "length"


def make_policies(settings: ModerationSettings) -> Sequence[Policy]:
    """The policies in their order; with words and no chain, the blocked words alone. Raises SettingsError."""
    chain = settings.policies
    if not chain and settings.blocked_words_file is not None:
        return [_blocked_words(settings, None, "")]
    return [_make(settings, one) for one in chain]


def _make(settings: ModerationSettings, one: PolicySettings) -> Policy:
    if one.policy == BLOCKED_WORDS:
        return _blocked_words(settings, one.code, one.text)
    if one.policy == LENGTH:
        return Length(one.max_chars, code=one.code, text=one.text)
    found = load_object("PUSHLANE_MODERATION__POLICIES", one.policy)
    policy: Policy = found() if isinstance(found, type) else found
    if not callable(getattr(policy, "judge", None)) or not isinstance(getattr(policy, "name", None), str):
        raise SettingsError("PUSHLANE_MODERATION__POLICIES", f"{one.policy} must have a name and a method judge")
    return policy


def _blocked_words(settings: ModerationSettings, code: int | None, text: str) -> Policy:
    try:
        words = load_words(settings.blocked_words_file)  # type: ignore[arg-type] # the settings have checked it
        return BlockedWords(words, action=settings.blocked_words_action, code=code, text=text)
    except (OSError, ValueError) as error:
        raise SettingsError("PUSHLANE_MODERATION__BLOCKED_WORDS_FILE", str(error)) from None


def load_object(setting: str, path: str) -> Any:  # noqa: ANN401 # whatever stands there
    """What ``package.module:name`` names. Raises SettingsError."""
    module, _, name = path.partition(":")
    if not module or not name:
        raise SettingsError(
            setting, f"{path!r} must be blocked_words, length, or a Python path like package.module:name"
        )
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(setting, f"{path} can not be imported: {error}") from None
