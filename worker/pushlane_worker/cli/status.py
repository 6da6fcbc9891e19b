"""``pushlane status``: shows the state of the channels."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter

import click

from pushlane.errors import NewerChannel, UnknownChannel
from pushlane.message import check_channel_name
from pushlane.operators.inspection import Inspector
from pushlane.operators.overview import Gate, Overview
from pushlane.operators.states import State
from pushlane.service.json_fields import as_fields, rfc_3339
from pushlane.service.printable import escaped, one_line
from pushlane_worker.cli import completion, queue
from pushlane_worker.cli.exit_codes import words_of
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

    With --watch, as many channels as fit are shown: first those that need attention, then those with the most messages.
    The bars are the messages delivered in the last hour; each channel has a scale of its own.
    """
    channels = [check_channel_name(name) for name in names] or load_settings().channels

    def known(inspector: Inspector) -> list[str]:
        return list(dict.fromkeys(names)) or sorted({*channels, *inspector.channels()})

    with queue.inspector() as inspector:
        shown = names if watching else known(inspector)
        states = inspector.states(shown)
        unfed = inspector.count_unfed()
    _check_known(names, states)
    if watching:
        _watch(known, as_json=as_json)
        return
    if as_json:
        print_json(_documents(states, unfed))
    else:
        _print(states, unfed)
    queue.require_readable(states)


def _print(states: Mapping[str, State], unfed: int) -> None:
    for line in _table([("channel", *_COUNTS), *(_row(name, state) for name, state in states.items())]):
        click.echo(line)
    for name, state in states.items():
        if isinstance(state, NewerChannel):
            click.echo(state)
        elif isinstance(state, Exception):
            click.echo(f"{name}: {one_line(words_of(state))}")
        elif state is not None:
            click.echo(_details(state))
    if unfed:
        click.echo(f"moderation: {counted(unfed, 'decision')} {'is' if unfed == 1 else 'are'} not carried out yet")


def _check_known(names: tuple[str, ...], states: Mapping[str, State]) -> None:
    """Raises UnknownChannel for a name that is neither registered nor in the settings."""
    for name in names:
        if states[name] is None and name not in load_settings().channels:
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
            print_json({"at": rfc_3339(reading.at)} | _documents(reading.states, reading.unfed))


def _documents(states: Mapping[str, State], unfed: int) -> dict[str, object]:
    documents = [{"channel": name} | _document(state) for name, state in states.items()]
    return {"channels": documents, "unfed_decisions": unfed}


def _document(state: State) -> dict[str, object]:
    if isinstance(state, NewerChannel):
        return {"registered": True, "newer_version": state.version}
    if isinstance(state, Exception):
        return {"registered": None, "problem": words_of(state)}
    return {"registered": False} if state is None else {"registered": True} | as_fields(state)


def _row(name: str, state: State) -> tuple[str, ...]:
    if not isinstance(state, Overview):
        return (name, *"-" * len(_COUNTS))
    return (name, *map(str if width() is None else shortened, _counts(state)))


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
    """The gate in words: its state, until when and why; if paused, also what it would be otherwise."""
    until = f" until {moment(gate.until)}" if gate.until else ""
    reason = f" ({escaped(gate.reason)})" if gate.reason else ""
    if gate.paused_since is None:
        return f"{gate.state}{until}{reason}"
    return f"paused since {moment(gate.paused_since)} (otherwise {gate.state}{until}{reason})"
