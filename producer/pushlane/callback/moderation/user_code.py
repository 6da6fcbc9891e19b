"""Loads other people's code by its Python path: custom policies and routing.

``policy_program.py`` loads it in separate processes; only an ``inline`` policy is also loaded in the callback's own.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pushlane.errors import SettingsError
from pushlane.service.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushlane.callback.chat_message import ChatMessage
    from pushlane.callback.policy import Policy
    from pushlane.callback.routing import Route

POLICIES: Final = "PUSHLANE_MODERATION__POLICIES"
ROUTING: Final = "PUSHLANE_MODERATION__ROUTING"


def load_policy(path: str) -> Policy:
    """An instance of the policy at this path. Raises SettingsError."""
    found = _load(POLICIES, path, "blocked_words, length, or a Python path like package.module:name")
    try:
        policy: Policy = found() if isinstance(found, type) else found
    except Exception as error:  # noqa: BLE001 # a policy may raise anything
        raise SettingsError(POLICIES, f"{path} cannot be created: {_described(error)}") from None
    name = getattr(policy, "name", None)
    if not callable(getattr(policy, "judge", None)) or not isinstance(name, str) or not name:
        raise SettingsError(POLICIES, f"{path} must have a name and a method judge")
    return policy


def is_inline(policy: Policy) -> bool:
    """Whether it declares that it is quick and safe enough for the event loop."""
    return getattr(policy, "inline", False) is True


def load_routing(path: str) -> Callable[[ChatMessage], Route | None]:
    """The routing function. Raises SettingsError."""
    found = _load(ROUTING, path, "a Python path like package.module:name")
    if not callable(found) or isinstance(found, type) or inspect.iscoroutinefunction(found):
        raise SettingsError(ROUTING, f"{path} must be a function, and not an async one")
    route: Callable[[ChatMessage], Route | None] = found
    return route


def _load(setting: str, path: str, allowed: str) -> Any:  # noqa: ANN401 # anything in a module
    module, _, name = path.partition(":")
    if not module or not name:
        raise SettingsError(setting, f"{path!r} must be {allowed}")
    try:
        return getattr(import_module(module), name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 # importing a module may raise anything
        raise SettingsError(setting, f"{path} cannot be imported: {_described(error)}") from None


def _described(error: BaseException) -> str:
    return one_line(f"{type(error).__name__}: {error}")
