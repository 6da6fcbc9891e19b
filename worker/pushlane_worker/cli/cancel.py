"""``pushlane cancel``: removes a message from the queue."""

import click

from pushlane_worker.cli import completion, queue
from pushlane_worker.cli.argument_types import utf8
from pushlane_worker.cli.exit_codes import Failed

_FAILED = {
    "in_flight": "a push of it is in flight; try again when it has ended",
    "already_final": "it is already delivered, cancelled or dead",
    "not_found": "it was never accepted, or is past its retention",
}


@click.command("cancel")
@click.argument("channel", shell_complete=completion.channels)
@click.argument("message_id", metavar="ID", type=utf8)
def command(channel: str, message_id: str) -> None:
    """Cancel the message ID of CHANNEL; exit 1 if it could not be cancelled.

    Prints `cancelled`, or `maybe_delivered` if an earlier push of it had an unknown outcome.
    """
    with queue.operator() as operator:
        result = operator.cancel(channel, message_id)
    if result in _FAILED:
        raise Failed(f"message {message_id} of channel {channel!r} was not cancelled ({result}): {_FAILED[result]}")
    click.echo(result)
