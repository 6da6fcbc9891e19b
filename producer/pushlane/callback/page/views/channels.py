"""All channels: what waits, what is wrong, and a line for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pushlane.callback.page.framed import framed
from pushlane.callback.page.parameters import start_in
from pushlane.errors import NewerChannel
from pushlane.operators.overview import Overview

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pushlane.callback.page.view import Asked, View
    from pushlane.operators.actions import Operator

SHOWN: Final = 100
"""Channels on a page."""
TROUBLES_SHOWN: Final = 10
_PAUSED: Final = "paused"

_ORDERS: Final[Mapping[str, Callable[[Overview], float]]] = {
    "waiting": lambda one: one.depth,
    "blocked": lambda one: one.blocked,
    "dead": lambda one: one.dead_letters,
    "oldest": lambda one: one.oldest_ready_at.timestamp() * -1 if one.oldest_ready_at else float("-inf"),
}
"""By which columns the channels can be sorted, the largest first; otherwise by name."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Over all channels."""

    waiting: int
    delivered: int
    blocked: int
    dead_letters: int

    @classmethod
    def of(cls, overviews: Iterable[Overview]) -> Totals:
        """Their sums."""
        known = list(overviews)
        return cls(
            sum(one.depth for one in known),
            sum(one.delivered for one in known),
            sum(one.blocked for one in known),
            sum(one.dead_letters for one in known),
        )


@dataclass(frozen=True, slots=True)
class Trouble:
    """A channel that needs somebody, and why. A pause alone is mild: an operator wants it."""

    channel: str
    why: str
    mild: bool


def show(operator: Operator, asked: Asked) -> View:
    """The page at ``/``."""
    # One that is not registered has been removed in this moment.
    found = {name: state for name, state in asked.fleet.states(operator).items() if state is not None}
    known = [one for one in found.values() if isinstance(one, Overview)]
    wanted, order = asked.query.get("name", ""), asked.query.get("by", "name")
    rows = _sorted({name: one for name, one in found.items() if wanted in name}, order)
    start = start_in(asked)
    troubles = [trouble for name, one in found.items() if (trouble := trouble_of(name, one)) is not None]
    troubles.sort(key=lambda trouble: trouble.mild)
    return framed(
        asked,
        "channels.html",
        {
            "workers": operator.workers(),
            "totals": Totals.of(known),
            "unfed": operator.count_unfed(),
            "troubles": troubles[:TROUBLES_SHOWN],
            "more_troubles": max(len(troubles) - TROUBLES_SHOWN, 0),
            "registered": len(found),
            "rows": [
                (name, one, "" if isinstance(one, Overview) else _unreadable(one))
                for name, one in rows[start : start + SHOWN]
            ],
            "matching": len(rows),
            "start": start,
            "size": SHOWN,
            "name": wanted,
            "by": order,
        },
    )


def trouble_of(channel: str, one: Overview | Exception) -> Trouble | None:
    """Why somebody should look at the channel; None if nobody needs to."""
    whys = list(_whys(one))
    return Trouble(channel, "; ".join(whys), mild=whys == [_PAUSED]) if whys else None


def _unreadable(error: Exception) -> str:
    if isinstance(error, NewerChannel):
        return "registered by a newer release: upgrade this one to see it"
    return f"cannot be read: {str(error) or type(error).__name__}"


def _whys(one: Overview | Exception) -> Iterator[str]:
    if isinstance(one, Exception):
        yield _unreadable(one)
        return
    if not one.consumed and one.depth:
        yield f"no worker consumes its queue {one.queue}"
    if one.gate.state != "open":
        yield f"gate {one.gate.state}, {one.gate.reason}"
    if one.gate.paused_since is not None:
        yield _PAUSED


def _sorted(found: Mapping[str, Overview | Exception], order: str) -> list[tuple[str, Overview | Exception]]:
    key = _ORDERS.get(order)
    if key is None:
        return list(found.items())
    return sorted(
        found.items(), key=lambda row: key(row[1]) if isinstance(row[1], Overview) else float("-inf"), reverse=True
    )
