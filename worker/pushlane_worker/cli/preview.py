"""Dead letters for a person, and what ``--dry-run`` shows of those that a command would take."""

import heapq
from collections import Counter
from collections.abc import Sequence

import click

from pushlane.fields import as_fields
from pushlane_worker.cli.printing import print_json
from pushlane_worker.cli.terminal import counted, fit, full_moment
from pushlane_worker.dead_letters import DeadLetter, DeadLetters, Selection

SHOWN = 20
_INDENT = "  "


def print_letter(letter: DeadLetter) -> None:
    """A dead letter in two or three lines, the last one its reason in words; in a terminal as far as it fits."""
    click.echo(fit(f"{letter.message_id}  {letter.reason or '-'}  {full_moment(letter.final_at)}"))
    tail = f"  {counted(letter.attempts, 'attempt')}" + ("  maybe delivered" if letter.maybe_delivered else "")
    click.echo(f"{_INDENT}{fit(letter.conversation, len(_INDENT) + len(tail))}{tail}")
    if letter.detail:
        click.echo(f"{_INDENT}{fit(letter.detail, len(_INDENT))}")


class Preview:
    """Counts dead letters and keeps the first of them by acceptance number, in constant memory."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self._first: list[tuple[int, str]] = []

    def add(self, letter: DeadLetter) -> None:
        """Counts this one."""
        self.reasons[letter.reason or "-"] += 1
        # A heap whose top is the last of the first.
        entry = (-letter.sequence, letter.message_id)
        if len(self._first) < SHOWN:
            heapq.heappush(self._first, entry)
        else:
            heapq.heappushpop(self._first, entry)

    def first(self) -> list[str]:
        """The ids of the first ones, in their order."""
        return [message_id for _, message_id in sorted(self._first, reverse=True)]


def preview(letters: DeadLetters, selection: Selection) -> Preview:
    """What the selection holds now."""
    seen = Preview()
    for page in letters.pages(selection, letters.newest()):
        for letter in page.letters:
            seen.add(letter)
    return seen


def show(
    channel: str, letters: DeadLetters, seen: Preview, absent: Sequence[str], *, would: str, as_json: bool
) -> None:
    """The preview for a person or as one document; ``would`` says what the command would do to them."""
    total = seen.reasons.total()
    first = list(letters.read(seen.first()))
    if as_json:
        reasons = dict(seen.reasons.most_common())
        document = {"channel": channel, "matching": total, "reasons": reasons, "absent": list(absent)}
        print_json(document | {"first": [as_fields(letter) for letter in first]})
        return
    reasons_told = ", ".join(f"{count:,} {reason}" for reason, count in seen.reasons.most_common())
    why = f": {reasons_told}" if reasons_told else ""
    click.echo(f"{counted(total, 'dead letter')} of {channel} would be {would}{why}")
    for letter in first:
        print_letter(letter)
    if total > len(first):
        click.echo(f"… and {total - len(first):,} more")
