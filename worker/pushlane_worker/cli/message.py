"""``pushlane message``: shows where one message is, and its timeline."""

import click

from pushlane.producer import Producer
from pushlane.service.json_fields import as_fields
from pushlane_worker.cli import completion, queue
from pushlane_worker.cli.argument_types import utf8
from pushlane_worker.cli.exit_codes import Failed
from pushlane_worker.cli.output import fit, print_fields, print_json
from pushlane_worker.cli.timeline import timeline

_IN_TIMELINE = {"joined_at", "pushes", "pushes_cut"}


@click.command("message")
@click.argument("channel", shell_complete=completion.channels)
@click.argument("message_id", metavar="ID", type=utf8)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(channel: str, message_id: str, as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Show where the message ID of CHANNEL is, and its timeline; exit 1 if it is unknown, or past its retention."""
    with Producer(queue.redis_url()) as producer:
        status = producer.status(channel, message_id)
        if status is None:
            producer.kind_of(channel)  # raises UnknownChannel: a mistyped channel knows no message
    if status is None:
        raise Failed(f"message {message_id} is not known in channel {channel!r}: never accepted, or past its retention")
    fields = as_fields(status)
    if as_json:
        print_json(fields)
        return
    print_fields({name: value for name, value in fields.items() if name not in _IN_TIMELINE})
    click.echo("timeline:")
    for line in timeline(status):
        click.echo(f"  {fit(line, 2)}")
