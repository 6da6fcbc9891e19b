"""The chain of policies in the settings: built-in ones, and a service's own by Python path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushlane.callback.blocked_words.policy import BlockedWords, load_words
from pushlane.callback.moderation.length import Length
from pushlane.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushlane.callback.policy import Policy
    from pushlane.callback.settings import ModerationSettings, PolicySettings

BLOCKED_WORDS = "blocked_words"
LENGTH = "length"


def make_policies(settings: ModerationSettings) -> Sequence[Policy | str]:
    """The policies in order, a service's own ones as their paths. Raises SettingsError.

    With a file of words but no chain, it is only the blocked words.
    """
    chain = settings.policies
    if not chain and settings.blocked_words_file is not None:
        return [_blocked_words(settings, None, "")]
    return [_make(settings, one) for one in chain]


def _make(settings: ModerationSettings, one: PolicySettings) -> Policy | str:
    if one.policy == BLOCKED_WORDS:
        return _blocked_words(settings, one.code, one.text)
    if one.policy == LENGTH:
        return Length(one.max_chars, code=one.code, text=one.text)
    return one.policy


def _blocked_words(settings: ModerationSettings, code: int | None, text: str) -> Policy:
    try:
        words = load_words(settings.blocked_words_file)  # type: ignore[arg-type] # the settings have checked it
        return BlockedWords(words, action=settings.blocked_words_action, code=code, text=text)
    except (OSError, ValueError) as error:
        raise SettingsError("PUSHLANE_MODERATION__BLOCKED_WORDS_FILE", str(error)) from None
