"""A time on the command line: seconds from now, or RFC 3339."""

import re
from datetime import datetime

import click

from pushlane.errors import InvalidMessage
from pushlane.send_options import SendOptions

_SECONDS = re.compile(r"\+?[0-9]+(\.[0-9]+)?")


class When(click.ParamType[datetime | float]):
    """`90` or `+90` are seconds from now on Redis's clock; `2026-11-22T14:30:00Z` is a time."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime | float:
        """The value for ``Producer.send``'s ``not_before``."""
        word = str(value)
        if _SECONDS.fullmatch(word):
            return float(word)
        try:
            SendOptions.from_json(None, word, None)  # checks the RFC 3339 format
        except InvalidMessage as error:
            self.fail(f"{error.problem}, or seconds from now, such as 90", param, ctx)
        return datetime.fromisoformat(word.upper())


WHEN = When()
