"""``pushlane status``: the channels as they stand."""

import click
from rich.console import Console
from rich.table import Table

from pushlane.fields import as_fields
from pushlane_worker.cli import queue
from pushlane_worker.cli.printing import print_json
from pushlane_worker.cli.terminal import WIDTH, gate_words
from pushlane_worker.inspection import Overview

_COUNTS = ("depth", "scheduled", "ready", "delayed", "leased", "blocked", "delivered", "dead", "unknown")
_LONGEST = 999_999
"""The largest number that the table shows in full, so that ten columns fit."""


@click.command("status")
@click.argument("names", nargs=-1, metavar="[CHANNEL]...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(names: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Show the named channels, or all that are registered or in the settings.

    Depth counts messages that wait, the scheduled ones among them; ready, delayed, leased and blocked count
    conversations; unknown counts pushes that perhaps arrived. Numbers from a million on end with k, M or G, rounded
    down; --json has them in full. What moderation has decided and nobody has done yet is told below.
    """
    channels = queue.configured(names)
    with queue.inspector() as inspector:
        known = channels if names else sorted({*channels, *inspector.channels()})
        overviews = {name: inspector.overview(name) for name in known}
        unfed = inspector.count_unfed()
    if as_json:
        documents = [_document(name, overview) for name, overview in overviews.items()]
        print_json({"channels": documents, "unfed_decisions": unfed})
        return
    table = _table()
    for name, overview in overviews.items():
        _add_row(table, name, overview)
    console = Console(width=WIDTH, markup=False, highlight=False)
    console.print(table)
    for overview in overviews.values():
        if overview is not None:
            console.print(_details(overview), soft_wrap=True)
    if unfed:
        console.print(f"moderation: {unfed} decisions are not done in their channels yet", soft_wrap=True)


def _document(name: str, overview: Overview | None) -> dict[str, object]:
    head: dict[str, object] = {"channel": name, "registered": overview is not None}
    return head if overview is None else head | as_fields(overview)


def _table() -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("channel", overflow="fold")
    for name in _COUNTS:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _add_row(table: Table, name: str, overview: Overview | None) -> None:
    if overview is None:
        table.add_row(name, *"-" * len(_COUNTS))
        return
    counts = (
        overview.depth,
        overview.scheduled,
        overview.ready,
        overview.delayed,
        overview.leased,
        overview.blocked,
        overview.delivered,
        overview.dead_letters,
        overview.unknown_pushes,
    )
    table.add_row(name, *map(_short, counts))


def _short(count: int) -> str:
    unit = ""
    for larger in ("k", "M", "G", "T"):
        if count <= _LONGEST:
            break
        count, unit = count // 1000, larger
    return f"{count}{unit}"


def _details(overview: Overview) -> str:
    gate = overview.gate
    cap = "" if gate.cap is None else f", at most {gate.cap} in flight"
    pushes = ", ".join(f"{count} {name}" for name, count in overview.pushes.items() if count) or "none"
    rate = overview.rate
    rated = "no limit" if rate.limit is None else f"{rate.used} of {rate.limit} in {rate.window_s} s"
    return f"{overview.channel}: gate {gate_words(gate)}{cap}; rate {rated}; pushes: {pushes}"
