"""The chain that the settings name: built-in policies, and a service's own by Python path."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pushlane.callback.blocked_words import BlockedWords, load_words
from pushlane.callback.length import Length
from pushlane.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushlane.callback.chat_message import ChatMessage
    from pushlane.callback.routing import Route
    from pushlane.callback.settings import ModerationSettings, PolicySettings
    from pushlane.callback.verdict import Policy

BLOCKED_WORDS = "blocked_words"
LENGTH = "length"
_POLICIES = "PUSHLANE_MODERATION__POLICIES"
_ROUTING = "PUSHLANE_MODERATION__ROUTING"


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
    found = load_object(_POLICIES, one.policy)
    try:
        policy: Policy = found() if isinstance(found, type) else found
    except Exception as error:  # noqa: BLE001 # whatever somebody's policy raises
        raise SettingsError(_POLICIES, f"{one.policy} can not be made: {_said(error)}") from None
    name = getattr(policy, "name", None)
    if not callable(getattr(policy, "judge", None)) or not isinstance(name, str) or not name:
        raise SettingsError(_POLICIES, f"{one.policy} must have a name and a method judge")
    return policy


def _blocked_words(settings: ModerationSettings, code: int | None, text: str) -> Policy:
    try:
        words = load_words(settings.blocked_words_file)  # type: ignore[arg-type] # the settings have checked it
        return BlockedWords(words, action=settings.blocked_words_action, code=code, text=text)
    except (OSError, ValueError) as error:
        raise SettingsError("PUSHLANE_MODERATION__BLOCKED_WORDS_FILE", str(error)) from None


def load_routing(path: str) -> Callable[[ChatMessage], Route | None]:
    """The function that routes. Raises SettingsError."""
    found = load_object(_ROUTING, path)
    if not callable(found) or isinstance(found, type) or inspect.iscoroutinefunction(found):
        raise SettingsError(_ROUTING, f"{path} must be a function, and none that is async")
    route: Callable[[ChatMessage], Route | None] = found
    return route


def load_object(setting: str, path: str) -> Any:  # noqa: ANN401 # whatever stands there
    """What ``package.module:name`` names. Raises SettingsError."""
    module, _, name = path.partition(":")
    if not module or not name:
        names = f"{BLOCKED_WORDS}, {LENGTH}, or " if setting == _POLICIES else ""
        raise SettingsError(setting, f"{path!r} must be {names}a Python path like package.module:name")
    try:
        return getattr(import_module(module), name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 # a module that is imported may raise anything
        raise SettingsError(setting, f"{path} can not be imported: {_said(error)}") from None


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")
