"""How values look on the page: the filters of its templates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pushlane.service.printable import escaped_but_emoji

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pushlane.push_record import PushRecord

_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"))
_LONGEST: Final = 200
"""Characters of a text in a list; the page of its message shows all of it."""


def number(value: int) -> str:
    """With separators: 12,345."""
    return f"{value:,}"


def counted(value: int, noun: str) -> str:
    """The number with its noun: `1 message`, `2,000 messages`."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def span(seconds: float) -> str:
    """A length of time in its two largest units: `2 h 5 min`."""
    left = max(int(seconds), 0)
    if left < _UNITS[-1][0]:
        return f"{left} s"
    parts: list[str] = []
    for size, unit in _UNITS:
        if left >= size or parts:
            parts.append(f"{left // size} {unit}" if left >= size else "")
            left %= size
    return " ".join(part for part in parts[:2] if part)


def age(at: datetime | None, now: datetime) -> str:
    """How long ago it was; empty without a time."""
    return "" if at is None else span((now - at).total_seconds())


def machine(at: datetime) -> str:
    """A time for ``<time datetime>``."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def moment(at: datetime) -> str:
    """A time for people; the page says that it is in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def clock(at: datetime) -> str:
    """Its time of day."""
    return f"{at.astimezone(UTC):%H:%M:%S}"


def shown(text: str) -> str:
    """Text from outside, whole, without anything that controls how the text around it is displayed."""
    return escaped_but_emoji(text)


def short(text: str, most: int = _LONGEST) -> str:
    """Such text, cut to what a list has room for."""
    return shown(text if len(text) <= most else f"{text[:most]}…")


def pushed(push: PushRecord) -> str:
    """A push of a message without its outcome: `push 2 (message 3 of 10) took 1,200 ms`."""
    name = "push" if push.number is None else f"push {push.number}"
    place = f" (message {push.position} of {push.size})" if push.size > 1 else ""
    took = ", its worker was lost" if push.duration_ms is None else f" took {number(push.duration_ms)} ms"
    return f"{name}{place}{took}"


FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    one.__name__: one for one in (number, counted, span, age, machine, moment, clock, shown, short, pushed)
}
