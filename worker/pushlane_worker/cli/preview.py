"""Dead letters for people to read, and what ``--dry-run`` shows."""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence

import click

from pushlane.service.json_fields import as_fields
from pushlane_worker.cli.output import counted, fit, full_moment, print_json
from pushlane_worker.operators.dead_letters import DeadLetter, DeadLetters, Selection

SHOWN = 20
_INDENT = "  "


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
