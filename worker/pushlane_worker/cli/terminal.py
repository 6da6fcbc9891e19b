"""What people read in a terminal of 80 columns, wide characters counted as the two that they take."""

from datetime import UTC, datetime

from rich.cells import cell_len, set_cell_size

from pushlane_worker.cli.printing import printable
from pushlane_worker.inspection import Gate

WIDTH = 80


def fit(text: str, width: int = WIDTH) -> str:
    """The text as one line of so many columns, cut with an ellipsis; what would steer a terminal is escaped."""
    shown = printable(text)
    if cell_len(shown) <= width:
        return shown
    return f"{set_cell_size(shown, width - 1).rstrip()}…"


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
