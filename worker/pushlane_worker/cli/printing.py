"""Output on standard output: JSON for programs, plain lines for people."""

import json
from collections.abc import Mapping

import click

from pushlane.service.printable import escaped


def print_json(value: object) -> None:
    """Prints one JSON document on one line, in ASCII, so without terminal control characters."""
    click.echo(json.dumps(value))


def print_fields(fields: Mapping[str, object]) -> None:
    """Prints one line per field, without missing ones."""
    for name, value in fields.items():
        if value is not None:
            click.echo(f"{name.replace('_', ' ') + ':':<17} {shown(value)}")


def shown(value: object) -> str:
    """The value as text for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return escaped(str(value))
