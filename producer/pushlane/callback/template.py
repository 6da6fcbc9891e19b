"""Templates of the settings, such as ``im-{To_Account}``: where what comes in is relayed to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FIELD: Final = re.compile(r"\{([\w.]*)\}")


def names_in(template: str) -> Sequence[str]:
    """The fields that it names; a dot leads into an object."""
    return _FIELD.findall(template)


def is_whole(template: str) -> bool:
    """Whether its braces stand around names alone."""
    return not set("{}") & set(_FIELD.sub("", template))


def fill(template: str, read: Callable[[str], str]) -> str:
    """The template with each field as ``read`` gives it."""
    return _FIELD.sub(lambda name: read(name[1]), template)
