"""Output on standard output: JSON for programs, lines that fit the terminal for people. Piped output is never cut."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click
from rich.cells import cell_len, set_cell_size

from pushlane.service.printable import escaped

_LONGEST = 999_999
"""The largest number shown in full in a table."""
_NAMED = 10


def print_json(value: object) -> None:
    """Prints one JSON document on one line, in ASCII, so without terminal control characters."""
    click.echo(json.dumps(value))


def print_fields(fields: Mapping[str, object]) -> None:
    """Prints one line per field, without missing ones."""
    for name, value in fields.items():
        if value is not None:
            click.echo(f"{name.replace('_', ' ') + ':':<17} {_shown(value)}")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return escaped(str(value))


def width() -> int | None:
    """The number of columns of the terminal; None if standard output is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def fit(text: str, used: int = 0) -> str:
    """The text as one line of the terminal, of which ``used`` columns are taken; cut with an ellipsis, and escaped."""
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


def shortened(count: int) -> str:
    """The number in at most seven columns, rounded down: `999999`, `1234k`, `5678M`."""
    unit = ""
    for larger in ("k", "M", "G", "T"):
        if count <= _LONGEST:
            break
        count, unit = count // 1000, larger
    return f"{count}{unit}"


def counted(number: int, noun: str) -> str:
    """The number with its noun: `1 message`, `2,000 messages`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def some(words: Sequence[str]) -> str:
    """The first ten of them, and how many more there are."""
    more = f" and {len(words) - _NAMED:,} more" if len(words) > _NAMED else ""
    return f"{', '.join(words[:_NAMED])}{more}"
