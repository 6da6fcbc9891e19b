"""Which dead letters a command means: IDs, or a conversation and a reason, or all."""

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec

import click

from pushlane.record import REASON_CODES
from pushlane_worker.dead_letters import Selection

P = ParamSpec("P")


class Utf8(click.ParamType[str]):
    """A word that can be part of a key in Redis."""

    name = "text"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word as it was given."""
        word = str(value)
        try:
            word.encode()
        except UnicodeEncodeError:
            self.fail("is not UTF-8", param, ctx)
        return word


UTF8 = Utf8()


def selecting(function: Callable[Concatenate[str, Selection, P], None]) -> Callable[..., None]:
    """Gives a command CHANNEL and the arguments and options that select, which reach it as its first two."""

    @click.argument("channel")
    @click.argument("ids", nargs=-1, metavar="[ID]...", type=UTF8)
    @click.option("--conversation", metavar="C", type=UTF8, help="Those of this conversation.")
    @click.option("--reason", type=click.Choice(sorted(REASON_CODES)), help="Those that died of this.")
    @click.option("--all", "everything", is_flag=True, help="All of them.")
    @functools.wraps(function)
    def command(
        channel: str,
        ids: tuple[str, ...],
        conversation: str | None,
        reason: str | None,
        everything: bool,  # noqa: FBT001 - a flag of the command line
        *args: P.args,
        **options: P.kwargs,
    ) -> None:
        filtered = conversation is not None or reason is not None
        if [bool(ids), filtered, everything].count(True) != 1:
            raise click.UsageError(
                "say which dead letters: exactly one of IDs, --conversation and/or --reason, and --all"
            )
        function(channel, Selection(tuple(dict.fromkeys(ids)), conversation, reason), *args, **options)

    return command
