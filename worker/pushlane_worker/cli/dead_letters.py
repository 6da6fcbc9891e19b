"""Dead letters on the command line: how a command selects them, how they are printed, and what ``--dry-run`` shows."""

import functools
import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Concatenate, ParamSpec

import click

from pushlane.message_record import REASON_CODES
from pushlane.operators.dead_letters import DeadLetter, DeadLetters, Selection
from pushlane.service.json_fields import as_fields
from pushlane_worker.cli import completion
from pushlane_worker.cli.argument_types import utf8
from pushlane_worker.cli.output import counted, fit, full_moment, print_json

SHOWN = 20
_INDENT = "  "

P = ParamSpec("P")


def selecting(function: Callable[Concatenate[str, Selection, P], None]) -> Callable[..., None]:
    """Adds CHANNEL and the selecting arguments and options to a command, passed as its first two arguments."""

    @click.argument("channel", shell_complete=completion.channels)
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


def print_letter(letter: DeadLetter) -> None:
    """Prints a dead letter in two or three lines, cut to the terminal's width; the last line is the reason in words."""
    click.echo(fit(f"{letter.message_id}  {letter.reason or '-'}  {full_moment(letter.final_at)}"))
    tail = f"  {counted(letter.attempts, 'attempt')}" + ("  maybe delivered" if letter.maybe_delivered else "")
    click.echo(f"{_INDENT}{fit(letter.conversation, len(_INDENT) + len(tail))}{tail}")
    if letter.detail:
        click.echo(f"{_INDENT}{fit(letter.detail, len(_INDENT))}")


def preview(
    channel: str, letters: DeadLetters, selection: Selection, absent: Sequence[str], *, would: str, as_json: bool
) -> None:
    """Prints how many dead letters the selection matches, why they died, and the first ones by acceptance number.

    It needs constant memory. ``would`` says what the command would do to them.
    """
    reasons: Counter[str] = Counter()

    def matching() -> Iterator[tuple[int, str]]:
        for page in letters.pages(selection, letters.newest()):
            for letter in page.letters:
                reasons[letter.reason or "-"] += 1
                yield letter.sequence, letter.message_id

    first = list(letters.read([message_id for _, message_id in heapq.nsmallest(SHOWN, matching())]))
    total = reasons.total()
    if as_json:
        counts = dict(reasons.most_common())
        document = {"channel": channel, "matching": total, "reasons": counts, "absent": list(absent)}
        print_json(document | {"first": [as_fields(letter) for letter in first]})
        return
    reason_counts = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
    why = f": {reason_counts}" if reason_counts else ""
    click.echo(f"{counted(total, 'dead letter')} of {channel} would be {would}{why}")
    for letter in first:
        print_letter(letter)
    if total > len(first):
        click.echo(f"… and {total - len(first):,} more")
