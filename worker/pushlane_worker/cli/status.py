"""``pushlane status``: shows the state of the channels."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter

import click

from pushlane.errors import NewerChannel, UnknownChannel
from pushlane.message import check_channel_name
from pushlane.operators.inspection import Inspector
from pushlane.operators.overview import Gate, Overview
from pushlane.service.json_fields import as_fields, rfc_3339
from pushlane.service.printable import escaped
from pushlane_worker.cli import completion, queue
from pushlane_worker.cli.output import counted, moment, print_json, shortened, width
from pushlane_worker.settings import load_settings

_COUNTS = ("depth", "scheduled", "ready", "delayed", "leased", "blocked", "delivered", "dead", "unknown")
_counts = attrgetter(*_COUNTS[:-2], "dead_letters", "unknown_pushes")


@click.command("status")
@click.argument("names", nargs=-1, metavar="[CHANNEL]...", shell_complete=completion.channels)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--watch", "watching", is_flag=True, help="Read again each second until Ctrl-C; with --json, a line each."
)
def command(names: tuple[str, ...], as_json: bool, watching: bool) -> None:  # noqa: FBT001 - flags of the command line
    """Show the named channels, or all that are registered or in the settings.

    Depth counts waiting messages, including scheduled ones; ready, delayed, leased and blocked count conversations;
    unknown counts pushes that may have arrived. In a terminal, numbers from a million on are shortened with k, M or G,
    rounded down. Moderation decisions that are not carried out yet are counted below.

    With --watch, what needs somebody to look comes first, then what has most to do: as many channels as fit. The bars
    are the messages delivered in the last hour, each channel's most in a bar as the tallest.
    """
    channels = [check_channel_name(name) for name in names] or load_settings().channels

    def known(inspector: Inspector) -> list[str]:
        return list(dict.fromkeys(names)) or sorted({*channels, *inspector.channels()})

    with queue.inspector() as inspector:
        shown = names if watching else known(inspector)
        overviews = {name: queue.or_newer(inspector.overview, name) for name in shown}
        unfed = inspector.count_unfed()
    _check_known(names, overviews)
    if watching:
        _watch(known, as_json=as_json)
        return
    if as_json:
        print_json(_documents(overviews, unfed))
        return
    for line in _table([("channel", *_COUNTS), *(_row(name, overview) for name, overview in overviews.items())]):
        click.echo(line)
    for overview in overviews.values():
        if isinstance(overview, NewerChannel):
            click.echo(overview)
        elif overview is not None:
            click.echo(_details(overview))
    if unfed:
        click.echo(f"moderation: {counted(unfed, 'decision')} {'is' if unfed == 1 else 'are'} not carried out yet")


def _check_known(names: tuple[str, ...], overviews: Mapping[str, Overview | NewerChannel | None]) -> None:
    """Raises UnknownChannel for a name that is neither registered nor in the settings."""
    for name in names:
        if overviews[name] is None and name not in load_settings().channels:
            raise UnknownChannel(name)


def _watch(known: Callable[[Inspector], list[str]], *, as_json: bool) -> None:
    from pushlane_worker.cli.watch import readings, watch  # noqa: PLC0415 - the live display takes a while to load

    if not as_json:
        watch(known)
        return
    for reading in readings(known):
        if reading.problem:
            print_json({"at": rfc_3339(reading.at), "problem": reading.problem})
        else:
            overviews = {name: reading.overviews.get(name) for name in reading.wanted}
            print_json({"at": rfc_3339(reading.at)} | _documents(overviews, reading.unfed))


def _documents(overviews: Mapping[str, Overview | NewerChannel | None], unfed: int) -> dict[str, object]:
    documents = [_document(name, overview) for name, overview in overviews.items()]
    return {"channels": documents, "unfed_decisions": unfed}


def _document(name: str, overview: Overview | NewerChannel | None) -> dict[str, object]:
    head: dict[str, object] = {"channel": name, "registered": overview is not None}
    if isinstance(overview, NewerChannel):
        return head | {"newer_version": overview.version}
    return head if overview is None else head | as_fields(overview)


def _row(name: str, overview: Overview | NewerChannel | None) -> tuple[str, ...]:
    if not isinstance(overview, Overview):
        return (name, *"-" * len(_COUNTS))
    return (name, *map(str if width() is None else shortened, _counts(overview)))


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The rows in columns; in a narrow terminal a long name gets its own line above its numbers."""
    longest, *widths = (max(map(len, column)) for column in zip(*rows, strict=True))
    columns, numbers = width(), sum(widths) + len(widths)
    first = longest if columns is None else min(longest, max(columns - numbers, len("channel")))
    for name, *counts in rows:
        if len(name) > first:
            yield name
        label = name if len(name) <= first else ""
        yield " ".join([label.ljust(first), *(count.rjust(size) for count, size in zip(counts, widths, strict=True))])


def _details(overview: Overview) -> str:
    gate = overview.gate
    cap = "" if gate.cap is None else f", at most {gate.cap} in flight"
    pushes = ", ".join(f"{count} {name}" for name, count in overview.pushes.items() if count) or "none"
    rate = overview.rate
    rated = "no limit" if rate.limit is None else f"{rate.used} of {rate.limit} in {rate.window_s} s"
    consumed = "" if overview.consumed else f"; no worker consumes its queue {overview.queue}"
    return f"{overview.channel}: gate {_gate_words(gate)}{cap}; rate {rated}; pushes: {pushes}{consumed}"


def _gate_words(gate: Gate) -> str:
    """The gate in words: its state, until when and why; if paused, also the state below."""
    until = f" until {moment(gate.until)}" if gate.until else ""
    reason = f" ({escaped(gate.reason)})" if gate.reason else ""
    if gate.paused_since is None:
        return f"{gate.state}{until}{reason}"
    return f"paused since {moment(gate.paused_since)} (below: {gate.state}{until}{reason})"
