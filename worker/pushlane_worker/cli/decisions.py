"""``pushlane decisions``: lists moderation's decisions."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from pushlane.operators.decision_list import STREAM
from pushlane.operators.stream import follow
from pushlane.service.printable import escaped
from pushlane_worker.cli import queue
from pushlane_worker.cli.output import print_json


@click.command("decisions")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(0), help="How many of the latest.")
@click.option("--follow", "following", is_flag=True, help="Keep printing new ones until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")
def command(limit: int, following: bool, as_json: bool) -> None:  # noqa: FBT001 - flags of the command line
    """Show the moderation callback's decisions, oldest first, without the messages' content."""
    with queue.inspector() as inspector:
        entries = inspector.redis.xrevrange(STREAM, count=max(1, limit))
        # If there are none yet, from the beginning, so that the first is not missed.
        newest = entries[0][0] if entries else "0"
        for _, fields in reversed(entries[:limit]):
            _print(fields, as_json=as_json)
        if following:
            for _, fields in follow(inspector.redis, STREAM, newest):
                _print(fields, as_json=as_json)


def _print(fields: dict[bytes, bytes], *, as_json: bool) -> None:
    decision: dict[str, Any] = json.loads(fields[b"decision"])
    if as_json:
        print_json(decision)
        return
    at = datetime.fromtimestamp(decision["at"] / 1000, tz=UTC)
    late = " late" if decision["late"] else ""
    why = f"  ({decision['policy']}: {decision['reason']})" if decision["reason"] else ""
    ends = f"{decision['from']} to {decision['to']}"
    click.echo(escaped(f"{at:%Y-%m-%d %H:%M:%S}  {decision['verdict']}{late}  {ends}  {decision['message']}{why}"))
