"""``pushlane dead``: messages that will not be tried again; lists, replays or purges them."""

import sys
from collections.abc import Iterator, Sequence

import click
import redis

from pushlane.operators.actions import Operator, ReplayRun
from pushlane.operators.dead_letters import DeadLetters, Selection
from pushlane.service.json_fields import as_fields
from pushlane_worker.cli import completion, queue
from pushlane_worker.cli.argument_types import utf8
from pushlane_worker.cli.dead_letters import preview, print_letter, selecting
from pushlane_worker.cli.exit_codes import Failed, line_of
from pushlane_worker.cli.output import counted, print_fields, print_json, some
from pushlane_worker.cli.progress import progress_bar


@click.group("dead")
def command() -> None:
    """List, show, replay and purge dead letters: messages that will not be tried again."""


@command.command("list", short_help="List dead letters, latest first.")
@click.argument("channel", shell_complete=completion.channels)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many, latest first.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")
def list_(channel: str, limit: int, as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """List the dead letters of CHANNEL, latest first, without their content."""
    with queue.inspector() as inspector:
        inspector.require(channel)
        for letter in inspector.dead_letters(channel).latest(limit):
            if as_json:
                print_json(as_fields(letter))
            else:
                print_letter(letter)


@command.command("show", short_help="Show one with its content.")
@click.argument("channel", shell_complete=completion.channels)
@click.argument("message_id", metavar="ID", type=utf8)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(channel: str, message_id: str, as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Show the dead letter ID of CHANNEL with its content."""
    with queue.inspector() as inspector:
        inspector.require(channel)
        found = inspector.dead_letters(channel).payload(message_id)
    if found is None:
        raise Failed(f"message {message_id} is not among the dead letters of channel {channel!r}")
    letter, payload = found
    message = payload.fields()
    if as_json:
        print_json(as_fields(letter) | {"message": message})
    else:
        print_fields(as_fields(letter) | message)


@command.command("replay", short_help="Queue dead letters again.")
@selecting
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def replay(channel: str, selection: Selection, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001 - flags
    """Put dead letters of CHANNEL back into the queue: those with these IDs, those that match, or all.

    They keep their ids, get their whole retry budget again, and go to the tail of their conversations, oldest first.
    """
    with queue.operator() as operator:
        operator.require(channel)
        letters = operator.dead_letters(channel)
        absent = letters.absent(selection.ids)
        if dry_run:
            preview(channel, letters, selection, absent, would="queued again", as_json=as_json)
        else:
            with operator.replay(channel) as run:
                _run(letters, selection, run)
            _tell_replay(channel, run, absent, as_json=as_json)
    _name(channel, absent)


@command.command("purge", short_help="Delete their content for good.")
@selecting
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def purge(channel: str, selection: Selection, dry_run: bool, yes: bool, as_json: bool) -> None:  # noqa: FBT001 - flags
    """Delete the content of dead letters of CHANNEL for good: those with these IDs, those that match, or all."""
    if not (dry_run or yes or sys.stdin.isatty()):
        raise click.UsageError("standard input is not a terminal, so the command cannot ask: add --yes")
    with queue.operator() as operator:
        operator.require(channel)
        letters = operator.dead_letters(channel)
        absent = letters.absent(selection.ids)
        if dry_run:
            preview(channel, letters, selection, absent, would="purged", as_json=as_json)
        else:
            _purge(operator, channel, selection, absent, ask=not yes, as_json=as_json)
    _name(channel, absent)


def _run(letters: DeadLetters, selection: Selection, run: ReplayRun) -> None:
    try:
        with progress_bar() as progress:
            gathering = progress.add_task("gathering", total=letters.count(selection))
            for page in letters.pages(selection, letters.newest()):
                run.add({letter.message_id: letter.sequence for letter in page.letters})
                progress.advance(gathering, page.looked_at)
            replaying = progress.add_task("replaying", total=run.gathered)
            for taken in run.steps():
                progress.advance(replaying, taken)
    except redis.RedisError as error:
        raise Failed(f"{line_of(error)}; {_are(run.replayed, 'queued again')} so far: repeat it to continue") from None


def _tell_replay(channel: str, run: ReplayRun, absent: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"channel": channel, "replayed": run.replayed, "left": run.left, "absent": list(absent)})
    elif run.replayed or not (run.left or absent):
        click.echo(_are(run.replayed, "queued again", channel))
    if run.full:
        raise Failed(
            f"channel {channel!r} is full (its limit is the channel's MAX_QUEUED):"
            f" {_are(run.replayed, 'queued again')}, {run.left:,} stay dead letters; try again when it has room"
        )


def _purge(
    operator: Operator, channel: str, selection: Selection, absent: Sequence[str], *, ask: bool, as_json: bool
) -> None:
    letters = operator.dead_letters(channel)
    newest = letters.newest()  # messages that die later were not counted, so they are kept
    if ask:
        count = sum(len(page.letters) for page in letters.pages(selection, newest))
        if count and not _confirmed(f"Purge {counted(count, 'dead letter')} of {channel} for good? [y/N] "):
            raise Failed("nothing was purged")
    with progress_bar() as progress:
        purging = progress.add_task("purging", total=letters.count(selection))

        def selected() -> Iterator[str]:
            for page in letters.pages(selection, newest):
                yield from (letter.message_id for letter in page.letters)
                progress.advance(purging, page.looked_at)

        purged = operator.purge(channel, selected())
    if as_json:
        print_json({"channel": channel, "purged": purged, "absent": list(absent)})
    elif purged or not absent:
        click.echo(_are(purged, "purged", channel))


def _confirmed(question: str) -> bool:
    # Not click.confirm, which writes a blank to standard output.
    click.echo(question, nl=False, err=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _are(count: int, what: str, channel: str | None = None) -> str:
    where = f" of {channel}" if channel else ""
    return f"{counted(count, 'dead letter')}{where} {'is' if count == 1 else 'are'} {what}"


def _name(channel: str, absent: Sequence[str]) -> None:
    if absent:
        raise Failed(f"not among the dead letters of channel {channel!r}: {some(absent)}")
