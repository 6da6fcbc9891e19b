"""What people read: lines that fit the terminal, wide characters counted as the two columns that they take.

What is piped is never cut.
"""

import shutil
import sys
from datetime import UTC, datetime

from rich.cells import cell_len, set_cell_size

from pushlane_worker.cli.printing import printable
from pushlane_worker.inspection import Gate


def width() -> int | None:
    """The columns of the terminal that standard output is; None where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def fit(text: str, beside: int = 0) -> str:
    """The text as one line of the terminal, cut with an ellipsis; what would steer a terminal is escaped.

    ``beside`` is how many columns of the line something else takes.
    """
    shown, columns = printable(text), width()
    if columns is None or cell_len(shown) <= columns - beside:
        return shown
    return f"{set_cell_size(shown, max(columns - beside - 1, 0)).rstrip()}…"


def moment(at: datetime | None) -> str:
    """The time in UTC, with its date unless that is today's."""
    if at is None:
        return "-"
    utc = at.astimezone(UTC)
    return f"{utc:%H:%M:%S} UTC" if utc.date() == datetime.now(UTC).date() else full_moment(utc)


def full_moment(at: datetime | None) -> str:
    """The time in UTC with its date."""
    return "-" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def counted(number: int, noun: str) -> str:
    """So many of them: `1 message`, `2,000 messages`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def gate_words(gate: Gate) -> str:
    """The gate for a person: what it is, until when, and why; of a paused one also what it is below."""
    until = f" until {moment(gate.until)}" if gate.until else ""
    reason = f" ({printable(gate.reason)})" if gate.reason else ""
    if gate.paused_since is None:
        return f"{gate.state}{until}{reason}"
    return f"paused since {moment(gate.paused_since)} (below: {gate.state}{until}{reason})"
