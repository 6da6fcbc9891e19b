"""One channel as a row of words and numbers. What needs somebody to look comes first, then what has most to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pushlane.errors import NewerChannel
from pushlane.operators.overview import Overview
from pushlane_worker.cli.output import shortened

SEVERITY: Final[Mapping[str, str]] = {
    "newer release": "bold red",
    "no worker": "bold red",
    "broken": "red",
    "full": "red",
    "blocked": "yellow",
    "throttled": "yellow",
    "paused": "magenta",
    "open": "green",
    "unregistered": "dim",
}
"""The states of a channel, the worst first, and their colours; a colour never says anything that the word does not."""
_ORDER: Final = {state: number for number, state in enumerate(SEVERITY)}
_FINE: Final = {"open", "unregistered"}
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "m"))


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one channel by the name of their column, and the colour of its state."""

    cells: Mapping[str, str]
    style: str


def state_of(overview: Overview | NewerChannel | None) -> str:
    """The worst that is to say of the channel, in a word of ``SEVERITY``."""
    if isinstance(overview, NewerChannel):
        return "newer release"
    if overview is None:
        return "unregistered"
    if overview.depth and not overview.consumed:
        return "no worker"
    gate = overview.gate
    found = {"paused"} if gate.paused_since else {gate.state}
    if overview.depth >= overview.max_queued:
        found.add("full")
    if overview.blocked:
        found.add("blocked")
    return min(found, key=lambda state: _ORDER[state])


def troubled(overview: Overview | NewerChannel | None) -> bool:
    """Whether somebody should look at the channel."""
    return state_of(overview) not in _FINE


def shown_first(overviews: Mapping[str, Overview | NewerChannel]) -> list[str]:
    """The channels in the order in which they are shown."""
    return sorted(overviews, key=lambda name: _place(name, overviews[name]))


def _place(name: str, overview: Overview | NewerChannel) -> tuple[int, int, int, str]:
    depth, leased = (overview.depth, overview.leased) if isinstance(overview, Overview) else (0, 0)
    return _ORDER[state_of(overview)], -depth, -leased, name


def row(overview: Overview | NewerChannel | None, per_s: float | None) -> Row:
    """The channel's row, without its name and its last hour."""
    state = state_of(overview)
    if not isinstance(overview, Overview):
        return Row({"state": state}, SEVERITY[state])
    oldest, rate = overview.oldest_ready_at, overview.rate
    return Row(
        {
            "depth": shortened(overview.depth),
            "oldest": "-" if oldest is None else age((overview.at - oldest).total_seconds()),
            "per s": "-" if per_s is None else _per_s(per_s),
            "rate": "-" if rate.limit is None else f"{100 * rate.used // rate.limit}%",
            "dead": shortened(overview.dead_letters),
            "state": _with_number(state, overview),
        },
        SEVERITY[state],
    )


def age(seconds: float) -> str:
    """The time in its largest unit, rounded down: `59s`, `12m`, `3h`, `2d`."""
    whole = max(int(seconds), 0)
    for size, unit in _UNITS:
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def _per_s(rate: float) -> str:
    return f"{rate:.1f}" if rate < 100 else shortened(int(rate))  # noqa: PLR2004 # three digits say enough


def _with_number(state: str, overview: Overview) -> str:
    """The state, for how long still, or how many conversations it concerns."""
    until = overview.gate.until
    if state == overview.gate.state and until is not None and until > overview.at:
        return f"{state} {age((until - overview.at).total_seconds())}"
    return f"{overview.blocked} blocked" if state == "blocked" else state
