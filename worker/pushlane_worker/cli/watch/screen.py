"""The lines of ``pushlane status --watch`` for a terminal of some size: what does not fit is counted, not shown."""

from collections.abc import Mapping, Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from pushlane.operators.overview import Overview
from pushlane.service.printable import escaped
from pushlane_worker.cli.output import counted, moment
from pushlane_worker.cli.watch.reading import History, Reading
from pushlane_worker.cli.watch.rows import Row, row, shown_first, troubled

WIDTHS: Final[Mapping[str, int]] = {"depth": 7, "oldest": 6, "per s": 6, "rate": 5, "dead": 7, "state": 13}
"""The columns after the name, as they stand; each is aligned to the right but the last."""
_KEPT: Final = ("depth", "state", "oldest", "per s", "dead", "rate")
"""Which of them a narrow terminal has, those that are needed most first."""
_NAME: Final = 12
_HOUR: Final = (60, 30, 20, 15, 12, 10)
"""How many columns the last hour may have: each stands for the same number of minutes."""
_BARS: Final = "▁▂▃▄▅▆▇█"
_ASCII_BARS: Final = "_.:-=+*#"
_AROUND: Final = 4
"""The lines that are no channel: totals, Redis away, column heads, and how many are not shown."""


def space(height: int) -> int:
    """How many channels a terminal of this many lines has room for."""
    return max(height - _AROUND, 1)


def frame(history: History, columns: int, lines: int, *, ascii_only: bool = False) -> list[Text]:
    """The lines of the screen, each at most ``columns`` wide."""
    reading = history.latest
    away = [_line(_away(history), columns, "bold red")] if history.away else []
    if reading is None:
        return away
    order = shown_first(reading.states)
    shown, hidden = order[: space(lines)], order[space(lines) :]
    rows = {name: row(reading.states[name], history.per_s(name)) for name in shown}
    table = _table(rows, reading.hours, columns, _ASCII_BARS if ascii_only else _BARS)
    rest = [_line(_hidden(hidden, reading), columns, "bold")] if hidden else []
    return [_line(_totals(history, reading), columns, "bold"), *away, *table, *rest]


def sparkline(minutes: Sequence[int], size: int, bars: str = _BARS) -> str:
    """The hour in ``size`` bars, which divides it evenly; the lowest bar means none, the highest the most."""
    each = max(len(minutes) // size, 1)
    sums = [sum(minutes[start : start + each]) for start in range(0, len(minutes), each)]
    most, top = max(sums, default=0), len(bars) - 1
    return "".join(bars[-(-one * top // most) if most else 0] for one in sums)


def _table(rows: Mapping[str, Row], hours: Mapping[str, Sequence[int]], columns: int, bars: str) -> list[Text]:
    longest = max([len("channel"), *(cell_len(escaped(name)) for name in rows)])
    name_size = min(longest, max(columns // 4, _NAME))
    kept, left = set(), columns - name_size
    for name in _KEPT:
        if WIDTHS[name] < left:
            kept.add(name)
            left -= WIDTHS[name] + 1
    shown = [name for name in WIDTHS if name in kept]
    hour = next((size for size in _HOUR if size < left), 0)
    head = Text(" ".join([_cut("channel", name_size), *(_aligned(name, name) for name in shown)]), "bold", no_wrap=True)
    if hour:
        head.append(" last hour")
    return [head, *(_row(name, one, name_size, shown, hours.get(name), hour, bars) for name, one in rows.items())]


def _row(
    name: str, one: Row, name_size: int, shown: Sequence[str], minutes: Sequence[int] | None, hour: int, bars: str
) -> Text:
    line = Text(_cut(escaped(name), name_size), no_wrap=True)
    for column in shown:
        line.append(" ").append(_aligned(column, one.cells.get(column, "-")), one.style if column == "state" else "")
    if hour and minutes is not None:
        line.append(" ").append(sparkline(minutes, hour, bars), "cyan")
    return line


def _aligned(column: str, text: str) -> str:
    return text.ljust(WIDTHS[column]) if column == "state" else text.rjust(WIDTHS[column])


def _cut(text: str, size: int) -> str:
    return set_cell_size(text, size) if cell_len(text) <= size else f"{set_cell_size(text, size - 1)}…"


def _line(text: str, columns: int, style: str) -> Text:
    shown = escaped(text)
    return Text(shown if cell_len(shown) <= columns else _cut(shown, columns), style, no_wrap=True)


def _totals(history: History, reading: Reading) -> str:
    found = [one for one in reading.states.values() if isinstance(one, Overview)]
    per_s = sum(history.per_s(one.channel) or 0 for one in found)
    parts = [
        f"{reading.at:%H:%M:%S} UTC",
        counted(len(reading.states), "channel"),
        f"{sum(one.depth for one in found):,} queued",
        f"{per_s:,.1f} per s",
        counted(sum(one.dead_letters for one in found), "dead letter"),
    ]
    if reading.unfed:
        parts.append(f"{counted(reading.unfed, 'decision')} to carry out")
    return "  ".join(parts)


def _away(history: History) -> str:
    assert history.away is not None  # noqa: S101 # see the only caller
    return f"Redis is away since {moment(history.away.at)}: {history.away.problem}"


def _hidden(names: Sequence[str], reading: Reading) -> str:
    trouble = sum(troubled(reading.states[name]) for name in names)
    which = f", {trouble:,} of them with trouble" if trouble else ""
    return f"{counted(len(names), 'more channel')} {'is' if len(names) == 1 else 'are'} not shown{which}"
