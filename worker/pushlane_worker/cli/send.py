"""``pushlane send``: enqueues one text or object, or a file of messages."""

import os
import stat
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

import click
from rich.progress import Progress

from pushlane.errors import PushlaneError
from pushlane.hold import Hold
from pushlane.message import Limits, Message, RoomMessage, ThirdPartyMessage
from pushlane.message_json import Form
from pushlane.producer import Producer
from pushlane.receipt import Receipt
from pushlane.send_options import SendOptions
from pushlane.service.json_fields import as_fields
from pushlane_worker.cli import completion, lines, queue
from pushlane_worker.cli.argument_types import json_object, utf8, when
from pushlane_worker.cli.exit_codes import Failed, line_of
from pushlane_worker.cli.output import print_json
from pushlane_worker.cli.progress import progress_bar


@click.command("send")
@click.argument("channel", shell_complete=completion.channels)
@click.argument("text", required=False)
@click.option("--room", metavar="ROOM", help="The room that the text goes to.")
@click.option("--sender-eid", metavar="EID", help="The sender's EID.")
@click.option("--receiver-eid", metavar="EID", help="The receiver's EID.")
@click.option("--user", metavar="USER", help="The user that the object of --json goes to.")
@click.option("--json", "body", metavar="OBJECT", type=json_object, help="The message object for that user.")
@click.option("--key", metavar="KEY", help="Idempotency key: the same key is the same message.")
@click.option("--not-before", metavar="T", type=when, help="When it is due: RFC 3339, or seconds from now.")
@click.option("--expires-in", metavar="S", type=float, help="Seconds after which it must not be delivered.")
@click.option("--hold", metavar="KEY S", type=(utf8, float), help="Hold it for a decision on KEY, S seconds at most.")
@click.option("--file", type=click.File("rb"), metavar="F.jsonl", help="A JSON message per line; - is standard input.")
@click.option("--receipts", is_flag=True, help="Print each receipt as a line of JSON.")
def command(
    *,
    channel: str,
    text: str | None,
    room: str | None,
    sender_eid: str | None,
    receiver_eid: str | None,
    user: str | None,
    body: dict[str, Any] | None,
    key: str | None,
    not_before: datetime | float | None,
    expires_in: float | None,
    hold: tuple[str, float] | None,
    file: BinaryIO | None,
    receipts: bool,
) -> None:
    """Enqueue TEXT in CHANNEL, or an object, or the messages of a file.

    A line of the file is {"room_id", "text"} with optional "sender_eid" and "receiver_eid", or {"user_id", "message"};
    "idempotency_key", "not_before" (RFC 3339), "expires_in_s" and "hold" are optional in both. A regular file is
    checked completely before its first message is sent, standard input in batches of 1,000 lines.
    """
    tally = Tally(as_json=receipts)
    to_room, to_user = (text, room, sender_eid, receiver_eid), (user, body)
    if file is not None:
        if any(option is not None for option in (*to_room, *to_user, key, not_before, expires_in, hold)):
            raise click.UsageError("--file: its lines contain room or user, message, key, times and hold: omit these")
        _send_file(channel, file, tally)
    else:
        message = _message(to_room, to_user)
        options = SendOptions.check(key, not_before, expires_in, Hold(*hold) if hold else None)
        with Producer(queue.redis_url()) as producer:
            tally.add([producer.send_form(channel, Form(message, options))])
    tally.tell()


def _message(
    to_room: tuple[str | None, str | None, str | None, str | None], to_user: tuple[str | None, dict[str, Any] | None]
) -> Message:
    """The message on the command line. Raises InvalidMessage."""
    text, room, sender_eid, receiver_eid = to_room
    user, body = to_user
    if user is not None and body is not None and not any(given is not None for given in to_room):
        return ThirdPartyMessage(user, body)
    if room is not None and text is not None and user is None and body is None:
        return RoomMessage(room, text, sender_eid=sender_eid, receiver_eid=receiver_eid)
    raise click.UsageError("give --room ROOM and a TEXT, or --user USER and --json OBJECT, or --file F.jsonl")


@dataclass(slots=True)
class Tally:
    """What was accepted so far. With ``as_json`` receipts are printed as they come, else ``tell`` prints a summary."""

    as_json: bool
    count: int = 0
    duplicates: int = 0
    first: Receipt | None = None
    last: Receipt | None = None

    def add(self, receipts: list[Receipt]) -> None:
        """Counts receipts, and prints them with ``as_json``."""
        for receipt in receipts:
            if self.as_json:
                print_json(as_fields(receipt))
        self.count += len(receipts)
        self.duplicates += sum(receipt.duplicate for receipt in receipts)
        if receipts:
            self.first = self.first or receipts[0]
            self.last = receipts[-1]

    def tell(self) -> None:
        """Prints the one-line summary, unless the receipts were printed."""
        if self.as_json:
            return
        if self.first is None or self.last is None:
            click.echo("no messages")
            return
        known = f" ({self.duplicates:,} already known)" if self.duplicates else ""
        if self.count == 1:
            click.echo(f"1 message accepted{known}: sequence {self.first.sequence}, id {self.first.message_id}")
        else:
            click.echo(f"{self.count:,} messages accepted{known}: sequence {self.first.sequence}..{self.last.sequence}")


def _send_file(channel: str, file: BinaryIO, tally: Tally) -> None:
    with queue.inspector() as inspector:
        limits = inspector.require(channel)
    with Producer(queue.redis_url()) as producer, progress_bar() as progress:
        total = _check_file(file, limits, progress)
        task = progress.add_task("sending", total=total)
        sent_to = 0
        try:
            for batch in lines.batches(lines.read(file, limits, lambda _: None)):
                tally.add(producer.send_forms(channel, [form for _, form in batch]))
                sent_to = batch[-1][0]
                progress.advance(task, len(batch))
        except PushlaneError as error:
            if tally.count == 0:
                raise
            so_far = f"{tally.count:,} messages, up to line {sent_to}, were accepted before that"
            raise Failed(f"{line_of(error)}; {so_far}") from None


def _check_file(file: BinaryIO, limits: Limits, progress: Progress) -> int | None:
    """Reads a regular file to its end before anything is sent; returns its number of messages."""
    facts = os.fstat(file.fileno())
    if not stat.S_ISREG(facts.st_mode) or not file.seekable():
        return None
    start = file.tell()
    task = progress.add_task("checking", total=facts.st_size - start)
    count = sum(1 for _ in lines.read(file, limits, lambda length: progress.advance(task, length)))
    progress.remove_task(task)
    file.seek(start)
    return count
