"""Output for people: lines that fit the terminal, where wide characters count as two columns.

Piped output is never cut.
"""

import shutil
import sys
from datetime import UTC, datetime

from rich.cells import cell_len, set_cell_size

from pushlane.service.printable import escaped
from pushlane_worker.operators.inspection import Gate


def width() -> int | None:
    """The number of columns of the terminal; None if standard output is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def fit(text: str, used: int = 0) -> str:
    """The text as one line of the terminal, cut with an ellipsis; control characters are escaped.

    ``used`` is how many columns of the line are already taken.
    """
    shown, columns = escaped(text), width()
    if columns is None or cell_len(shown) <= columns - used:
        return shown
    return f"{set_cell_size(shown, max(columns - used - 1, 0)).rstrip()}…"


def moment(at: datetime | None) -> str:
    """The time in UTC, with its date unless it is today."""
    if at is None:
        return "-"
    utc = at.astimezone(UTC)
    return f"{utc:%H:%M:%S} UTC" if utc.date() == datetime.now(UTC).date() else full_moment(utc)


def full_moment(at: datetime | None) -> str:
    """The time in UTC with its date."""
    return "-" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def counted(number: int, noun: str) -> str:
    """The number with its noun: `1 message`, `2,000 messages`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def gate_words(gate: Gate) -> str:
    """The gate in words: its state, until when and why; if paused, also the state below."""
    until = f" until {moment(gate.until)}" if gate.until else ""
    reason = f" ({escaped(gate.reason)})" if gate.reason else ""
    if gate.paused_since is None:
        return f"{gate.state}{until}{reason}"
    return f"paused since {moment(gate.paused_since)} (below: {gate.state}{until}{reason})"
