"""What goes to standard output: JSON for programs, a few plain lines for people."""

import json
from collections.abc import Mapping

import click


def print_json(value: object) -> None:
    """One JSON document on one line, in ASCII: nothing in it can steer a terminal."""
    click.echo(json.dumps(value))


def print_fields(fields: Mapping[str, object]) -> None:
    """A line a field, without the absent ones."""
    for name, value in fields.items():
        if value is not None:
            click.echo(f"{name.replace('_', ' ') + ':':<17} {shown(value)}")


def shown(value: object) -> str:
    """The value for a person."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return printable(str(value))


def printable(text: str) -> str:
    """The text with everything that would steer a terminal as an escape sequence."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
