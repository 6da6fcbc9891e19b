"""The chain of policies in the settings: built-in ones, and a service's own by Python path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushlane.callback.blocked_words.policy import BlockedWords, load_words
from pushlane.callback.moderation.length import Length
from pushlane.callback.policy_settings import PolicySettings
from pushlane.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushlane.callback.policy import Policy
    from pushlane.callback.settings import ModerationSettings


def make_policies(settings: ModerationSettings) -> Sequence[Policy | str]:
    """The policies in order, a service's own ones as their paths. Raises SettingsError.

    With a file of words but no chain, it is only the blocked words.
    """
    chain = settings.policies
    if not chain and settings.blocked_words_file is not None:
        chain = (PolicySettings(policy="blocked_words"),)
    return [_make(settings, one) for one in chain]


def _make(settings: ModerationSettings, one: PolicySettings) -> Policy | str:
    if one.policy == "length":
        return Length(one.max_chars, code=one.code, text=one.text)
    if one.policy != "blocked_words":
        return one.policy
    try:
        words = load_words(settings.blocked_words_file)  # type: ignore[arg-type] # the settings have checked it
        return BlockedWords(words, action=settings.blocked_words_action, code=one.code, text=one.text)
    except ValueError as error:
        raise SettingsError("PUSHLANE_MODERATION__BLOCKED_WORDS_FILE", str(error)) from None
