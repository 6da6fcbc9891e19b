"""``pushlane decide``: decides on messages that are held for a key."""

import click

from pushlane.hold import VERDICTS, Verdict
from pushlane.message import RoomMessage
from pushlane.outbox import Producer
from pushlane_worker.cli import queue
from pushlane_worker.cli.ending import Failed
from pushlane_worker.cli.selection import UTF8


@click.command("decide")
@click.argument("channel")
@click.argument("key", type=UTF8)
@click.argument("verdict", type=click.Choice(VERDICTS))
@click.option("--text", help="For rewrite: the new text.")
@click.option("--reason", default="", help="For forbid: why, as the dead letter tells it.")
def command(channel: str, key: str, verdict: Verdict, text: str | None, reason: str) -> None:
    """Decide on the messages of CHANNEL that are held for KEY, and on those that still come.

    The first decision on a key stands: another verdict later is refused with exit 1.
    """
    if (verdict == "rewrite") != (text is not None):
        raise click.UsageError("--text goes with the verdict rewrite, and rewrite needs it")
    message = None if text is None else RoomMessage("-", text)
    with Producer(queue.redis_url()) as producer:
        standing = producer.decide(channel, key, verdict, message=message, reason=reason)
    if standing != ("forbid" if verdict == "discard" else verdict):
        raise Failed(f"{key!r} of channel {channel!r} was decided before: {standing}")
    click.echo(f"{key}: {standing}")
