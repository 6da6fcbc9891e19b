"""What views read from an address or a form. Anything that makes no sense counts as missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pushlane.callback.page.view import Asked

_MAX: Final = 2**64 - 1
"""A cursor of Redis has 64 bits, and so has each half of a stream entry's id. It refuses more."""
_LAST_PLACE: Final = 10**9


def channel_in(asked: Asked) -> str:
    """The channel that the path names."""
    return asked.path["channel"]


def start_in(asked: Asked) -> int:
    """From which place on a list is shown: the parameter ``from``."""
    return min(whole_number(asked.query.get("from", "")), _LAST_PLACE)


def whole_number(text: str) -> int:
    """A number of up to 64 bits in decimal digits; 0 for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MAX))):
        return 0
    return number if (number := int(text)) <= _MAX else 0


def stream_entry(text: str) -> str | None:
    """The id of a stream's entry; None for anything else."""
    ms, dash, number = text.partition("-")
    return text if dash and all(part == str(whole_number(part)) for part in (ms, number)) else None
