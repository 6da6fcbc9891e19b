"""``pushlane dead``: messages that will not be tried again."""

import click

from pushlane.form import fields_of
from pushlane_worker.cli import queue
from pushlane_worker.cli.ending import Failed
from pushlane_worker.cli.printing import as_fields, print_fields, print_json, printable
from pushlane_worker.inspection import DeadLetter


@click.group("dead")
def command() -> None:
    """List and show dead letters: messages that will not be tried again."""


@command.command("list")
@click.argument("channel")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many, the latest first.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")
def list_(channel: str, limit: int, as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """List the dead letters of CHANNEL, the latest first, without what they say."""
    with queue.inspector() as inspector:
        for letter in inspector.dead_letters(channel, limit):
            if as_json:
                print_json(as_fields(letter))
            else:
                click.echo(_line(letter))


@command.command("show")
@click.argument("channel")
@click.argument("message_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(channel: str, message_id: str, as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Show the dead letter ID of CHANNEL with what it says."""
    with queue.inspector() as inspector:
        found = inspector.payload(channel, message_id)
    if found is None:
        raise Failed(f"message {message_id} is not among the dead letters of channel {channel!r}")
    letter, payload = found
    message = fields_of(payload.kind, payload.conversation, payload.address, payload.body)
    if as_json:
        print_json(as_fields(letter) | {"message": message})
    else:
        print_fields(as_fields(letter) | message)


def _line(letter: DeadLetter) -> str:
    at = f"{letter.final_at:%Y-%m-%d %H:%M:%S}" if letter.final_at else "-"
    return printable(f"{at}  {letter.message_id}  {letter.reason}  {letter.conversation}  {letter.detail}")
