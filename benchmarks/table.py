"""Medians, ratios, and the table that ``make bench`` prints."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS: Final = ("case", "work", "ours", "beside it", "ratio", "reach", "reached")


@dataclass(frozen=True, slots=True)
class Reach:
    """What is asked of a ratio: ``at_least`` or ``at_most``, or both."""

    at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        low = "" if self.at_least is None else f"≥ {self.at_least:g}"
        high = "" if self.at_most is None else f"≤ {self.at_most:g}"
        return ", ".join(filter(None, (low, high)))

    def holds(self, ratio: float) -> bool:
        """Whether it is reached."""
        return (self.at_least is None or ratio >= self.at_least) and (self.at_most is None or ratio <= self.at_most)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what we measured of Pushlane and of what stands beside it, each in alternating runs."""

    case: str
    work: str
    unit: str
    ours: Sequence[float]
    beside: str
    theirs: Sequence[float]
    reach: Reach = Reach()

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return median(self.ours) / median(self.theirs)

    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        ours, theirs = _number(median(self.ours)), _number(median(self.theirs))
        verdict = "" if self.reach == Reach() else "yes" if self.reach.holds(self.ratio) else "no"
        beside = f"{self.beside}: {theirs}"
        return self.case, self.work, f"{ours} {self.unit}", beside, _number(self.ratio), str(self.reach), verdict

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "case": self.case,
            "work": self.work,
            "unit": self.unit,
            "ours": list(self.ours),
            "beside": self.beside,
            "theirs": list(self.theirs),
            "ratio": self.ratio,
            "reach": str(self.reach),
        }


def markdown(rows: Sequence[Row]) -> str:
    """The table."""
    lines = [COLUMNS, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    drawn = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    return "\n".join([drawn[0], "| " + " | ".join("-" * width for width in widths) + " |", *drawn[1:]])


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
