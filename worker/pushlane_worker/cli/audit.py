"""``pushlane audit``: lists what operators have done."""

import click

from pushlane.operators.audit import AuditEntry, follow_audit, read_audit
from pushlane.service.json_fields import as_fields
from pushlane.service.printable import escaped
from pushlane_worker.cli import queue
from pushlane_worker.cli.output import print_json


@click.command("audit")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(0), help="How many of the latest.")
@click.option(
    "--follow", is_flag=True, help="Keep printing new ones until Ctrl-C; an act is printed as it begins, too."
)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")
def command(limit: int, follow: bool, as_json: bool) -> None:  # noqa: FBT001 - flags of the command line
    """Show what operators have done, on the page and on the command line, oldest first."""
    with queue.inspector() as inspector:
        entries = list(read_audit(inspector.redis, max(1, limit)))
        # If there are none yet, from the beginning, so that the first is not missed.
        newest = entries[0].id if entries else "0"
        for entry in reversed(entries[:limit]):
            _print(entry, as_json=as_json)
        if follow:
            for entry in follow_audit(inspector.redis, newest):
                _print(entry, as_json=as_json, begins=not entry.result)


def _print(entry: AuditEntry, *, as_json: bool, begins: bool = False) -> None:
    if as_json:
        print_json(as_fields(entry))
        return
    result = "begins" if begins else entry.result or "no result was recorded"
    what = "  ".join(filter(None, (entry.act, entry.channel, entry.target)))
    click.echo(escaped(f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.by}  {what}: {result}"))
