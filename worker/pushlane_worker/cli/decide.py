"""``pushlane decide``: decides on messages that are held for a key."""

from typing import Any

import click

from pushlane.hold import VERDICTS, Verdict
from pushlane.message import Message, RoomMessage, ThirdPartyMessage
from pushlane.producer import Producer
from pushlane_worker.cli import completion, queue
from pushlane_worker.cli.argument_types import json_object, utf8
from pushlane_worker.cli.exit_codes import Failed


@click.command("decide")
@click.argument("channel", shell_complete=completion.channels)
@click.argument("key", type=utf8)
@click.argument("verdict", metavar="VERDICT", type=click.Choice(VERDICTS))
@click.option("--text", help="For rewrite: the new text.")
@click.option("--json", "body", metavar="OBJECT", type=json_object, help="For rewrite: the new message object.")
@click.option("--reason", help="For forbid and discard: the reason shown in the dead letter.")
def command(
    *, channel: str, key: str, verdict: Verdict, text: str | None, body: dict[str, Any] | None, reason: str | None
) -> None:
    """Decide on the messages of CHANNEL that are held for KEY, and on later ones.

    VERDICT is allow, rewrite, forbid or discard. The first decision on a key is final: another verdict or another text
    is refused with exit 1.
    """
    message: Message | None = None
    if text is not None:
        message = RoomMessage("-", text)
    elif body is not None:
        message = ThirdPartyMessage("-", body)
    if (verdict == "rewrite") != (message is not None) or (text is not None and body is not None):
        raise click.UsageError("the verdict rewrite needs exactly one of --text and --json; the others take neither")
    if reason is not None and verdict not in {"forbid", "discard"}:
        raise click.UsageError(f"--reason goes with forbid and discard: {verdict} makes no dead letter that shows it")
    with queue.operator() as operator, Producer(queue.redis_url()) as producer:
        operator.require(channel)
        with operator.audit.act("decide", channel, key) as act:
            standing = producer.decide_once(channel, key, verdict, message=message, reason=reason or "")
            act.result = standing.verdict if standing.same else f"decided before: {standing.verdict}"
    if not standing.same:
        otherwise = ", with another text or object" if standing.verdict == verdict else ""
        raise Failed(f"{key!r} of channel {channel!r} was decided before: {standing.verdict}{otherwise}")
    unused = "" if standing.met else "; nothing waits for it now, and the decision is kept for 8 days"
    click.echo(f"{key}: {verdict}{unused}")
