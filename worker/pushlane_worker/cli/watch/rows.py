"""One channel as a row of words and numbers. What needs somebody to look comes first, then what has most to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pushlane.errors import NewerChannel
from pushlane.operators.overview import Overview
from pushlane.operators.states import State
from pushlane_worker.cli.output import shortened

SEVERITY: Final[Mapping[str, str]] = {
    "newer release": "bold red",
    "unreadable": "bold red",
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


def word_of(state: State) -> str:
    """The worst that is to say of the channel, in a word of ``SEVERITY``."""
    if isinstance(state, NewerChannel):
        return "newer release"
    if isinstance(state, Exception):
        return "unreadable"
    if state is None:
        return "unregistered"
    if state.depth and not state.consumed:
        return "no worker"
    gate = state.gate
    found = {"paused"} if gate.paused_since else {gate.state}
    if state.depth >= state.max_queued:
        found.add("full")
    if state.blocked:
        found.add("blocked")
    return min(found, key=lambda word: _ORDER[word])


def troubled(state: State) -> bool:
    """Whether somebody should look at the channel."""
    return word_of(state) not in _FINE


def shown_first(states: Mapping[str, State]) -> list[str]:
    """The channels in the order in which they are shown."""
    return sorted(states, key=lambda name: _place(name, states[name]))


def _place(name: str, state: State) -> tuple[int, int, int, str]:
    depth, leased = (state.depth, state.leased) if isinstance(state, Overview) else (0, 0)
    return _ORDER[word_of(state)], -depth, -leased, name


def row(state: State, per_s: float | None) -> Row:
    """The channel's row, without its name and its last hour."""
    word = word_of(state)
    if not isinstance(state, Overview):
        return Row({"state": word}, SEVERITY[word])
    oldest, rate = state.oldest_ready_at, state.rate
    return Row(
        {
            "depth": shortened(state.depth),
            "oldest": "-" if oldest is None else age((state.at - oldest).total_seconds()),
            "per s": "-" if per_s is None else _per_s(per_s),
            "rate": "-" if rate.limit is None else f"{100 * rate.used // rate.limit}%",
            "dead": shortened(state.dead_letters),
            "state": _with_number(word, state),
        },
        SEVERITY[word],
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


def _with_number(word: str, overview: Overview) -> str:
    """The word, for how long still, or how many conversations it concerns."""
    until = overview.gate.until
    if word == overview.gate.state and until is not None and until > overview.at:
        return f"{word} {age((until - overview.at).total_seconds())}"
    return f"{overview.blocked} blocked" if word == "blocked" else word
