"""Templates in the settings, such as ``im-{To_Account}``: where incoming messages are relayed to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FIELD: Final = re.compile(r"\{([\w.]*)\}")


def names_in(template: str) -> Sequence[str]:
    """The fields that it names; a dot means a field of an object."""
    return _FIELD.findall(template)


def is_whole(template: str) -> bool:
    """Whether its braces only surround names."""
    return not set("{}") & set(_FIELD.sub("", template))


def fill(template: str, read: Callable[[str], str]) -> str:
    """The template with each field as ``read`` returns it."""
    return _FIELD.sub(lambda name: read(name[1]), template)


def written(value: object) -> str:
    """A field's value as it stands in a template; empty unless it is a string or an integer."""
    return str(value) if type(value) in {str, int} else ""
