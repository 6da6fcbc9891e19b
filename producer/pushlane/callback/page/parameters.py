"""What views read from an address or a form. Anything that makes no sense counts as missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pushlane.callback.page.view import Asked

_MAX_DIGITS: Final = 20
"""A cursor of Redis has up to 64 bits."""
_LAST_PLACE: Final = 10**9


def channel_in(asked: Asked) -> str:
    """The channel that the path names."""
    return asked.path["channel"]


def start_in(asked: Asked) -> int:
    """From which place on a list is shown: the parameter ``from``."""
    return min(whole_number(asked.query.get("from", "")), _LAST_PLACE)


def whole_number(text: str) -> int:
    """A number of decimal digits; 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else 0
