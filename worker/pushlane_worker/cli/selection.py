"""Selects dead letters: by IDs, by conversation and reason, or all."""

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec

import click

from pushlane.message_record import REASON_CODES
from pushlane_worker.cli.argument_types import utf8
from pushlane_worker.operators.dead_letters import Selection

P = ParamSpec("P")


def selecting(function: Callable[Concatenate[str, Selection, P], None]) -> Callable[..., None]:
    """Adds CHANNEL and the selecting arguments and options to a command, passed as its first two arguments."""

    @click.argument("channel")
    @click.argument("ids", nargs=-1, metavar="[ID]...", type=utf8)
    @click.option("--conversation", metavar="C", type=utf8, help="Only those of this conversation.")
    @click.option("--reason", type=click.Choice(sorted(REASON_CODES)), help="Only those with this reason.")
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
            raise click.UsageError("select dead letters by exactly one of: IDs, --conversation and/or --reason, --all")
        function(channel, Selection(tuple(dict.fromkeys(ids)), conversation, reason), *args, **options)

    return command
