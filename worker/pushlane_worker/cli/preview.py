"""Dead letters for people to read, and what ``--dry-run`` shows."""

import heapq
from collections import Counter
from collections.abc import Sequence

import click

from pushlane.service.json_fields import as_fields
from pushlane_worker.cli.printing import print_json
from pushlane_worker.cli.terminal import counted, fit, full_moment
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


class Preview:
    """Counts dead letters and keeps the first ones by acceptance number, in constant memory."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self._first: list[tuple[int, str]] = []

    def add(self, letter: DeadLetter) -> None:
        """Counts a dead letter."""
        self.reasons[letter.reason or "-"] += 1
        # A heap with the latest of the kept ones at the top.
        entry = (-letter.sequence, letter.message_id)
        if len(self._first) < SHOWN:
            heapq.heappush(self._first, entry)
        else:
            heapq.heappushpop(self._first, entry)

    def first(self) -> list[str]:
        """The ids of the first ones, in order."""
        return [message_id for _, message_id in sorted(self._first, reverse=True)]


def preview(letters: DeadLetters, selection: Selection) -> Preview:
    """A preview of the selection."""
    seen = Preview()
    for page in letters.pages(selection, letters.newest()):
        for letter in page.letters:
            seen.add(letter)
    return seen


def show(
    channel: str, letters: DeadLetters, seen: Preview, absent: Sequence[str], *, would: str, as_json: bool
) -> None:
    """Prints the preview as text or as one JSON document; ``would`` says what the command would do."""
    total = seen.reasons.total()
    first = list(letters.read(seen.first()))
    if as_json:
        reasons = dict(seen.reasons.most_common())
        document = {"channel": channel, "matching": total, "reasons": reasons, "absent": list(absent)}
        print_json(document | {"first": [as_fields(letter) for letter in first]})
        return
    reason_counts = ", ".join(f"{count:,} {reason}" for reason, count in seen.reasons.most_common())
    why = f": {reason_counts}" if reason_counts else ""
    click.echo(f"{counted(total, 'dead letter')} of {channel} would be {would}{why}")
    for letter in first:
        print_letter(letter)
    if total > len(first):
        click.echo(f"… and {total - len(first):,} more")
