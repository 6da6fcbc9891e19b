"""``pushlane message``: shows where one message is."""

import click

from pushlane.producer import Producer
from pushlane.service.json_fields import as_fields
from pushlane_worker.cli import completion, queue
from pushlane_worker.cli.argument_types import utf8
from pushlane_worker.cli.exit_codes import Failed
from pushlane_worker.cli.output import print_fields, print_json


@click.command("message")
@click.argument("channel", shell_complete=completion.channels)
@click.argument("message_id", metavar="ID", type=utf8)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(channel: str, message_id: str, as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Show where the message ID of CHANNEL is; exit 1 if it is not known (any more)."""
    with Producer(queue.redis_url()) as producer:
        status = producer.status(channel, message_id)
        if status is None:
            producer.kind_of(channel)  # raises UnknownChannel: a mistyped channel knows no message
    if status is None:
        raise Failed(f"message {message_id} is not known in channel {channel!r}: never accepted, or past its retention")
    (print_json if as_json else print_fields)(as_fields(status))
