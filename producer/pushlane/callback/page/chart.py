"""The chart of a channel's last hour, as numbers that a template draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

HEIGHT: Final = 64
"""Of the tallest bar."""
WIDTH: Final = 10
"""Of a bar with its gap."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A minute: its left edge, its top and its height; ``minutes_ago`` is 0 for the one that has just begun."""

    x: int
    y: int
    height: int
    count: int
    minutes_ago: int


@dataclass(frozen=True, slots=True)
class Chart:
    """Messages delivered in each minute, oldest first."""

    bars: Sequence[Bar]
    width: int
    height: int
    total: int
    most: int


def chart_of(counts: Sequence[int]) -> Chart:
    """The chart of these counts. A minute in which anything was delivered has a bar that can be seen."""
    most = max(counts, default=0)
    bars = []
    for place, count in enumerate(counts):
        height = max(round(count / most * HEIGHT), 1) if count else 0
        bars.append(Bar(place * WIDTH, HEIGHT - height, height, count, len(counts) - 1 - place))
    return Chart(bars, len(counts) * WIDTH, HEIGHT, sum(counts), most)
