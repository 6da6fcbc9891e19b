"""``pushlane blocked``: lists conversations that cannot move, and skips what blocks one."""

import heapq
from collections.abc import Iterator
from itertools import islice

import click
from click.shell_completion import CompletionItem

from pushlane.errors import NewerChannel
from pushlane.operators.blocked import Blocked
from pushlane.operators.overview import Gate, Overview
from pushlane.service.json_fields import as_fields
from pushlane_worker.cli import completion, queue
from pushlane_worker.cli.argument_types import utf8
from pushlane_worker.cli.exit_codes import Failed
from pushlane_worker.cli.output import counted, fit, moment, print_json

_NOT_SKIPPED = {
    "in_flight": "a push of its head is in flight; try again when it has ended",
    "unreadable": "its head was written by a newer version: update the workers and this command",
    "not_blocked": "it is not blocked, or no longer; `pushlane blocked` lists the blocked ones",
}
_NEXT = {
    "in_flight": "being pushed now",
    "ready": "tried as soon as the channel may push",
}
_UNTIL = {"held": "held until", "unreadable": "next look"}


class ListByDefault(click.Group):
    """A group whose first word is either one of its commands or the first argument of ``list``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments, with ``list`` in front if no command is given."""
        if not args and ctx.resilient_parsing:  # a shell completes the first word, which may be either
            return super().parse_args(ctx, args)
        if not args or args[0] not in {*self.commands, *self.get_help_option_names(ctx)}:
            args = ["list", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands, options and channels that begin so."""
        (names, *_) = self.commands["list"].params
        return [*super().shell_complete(ctx, incomplete), *names.shell_complete(ctx, incomplete)]


@click.group("blocked", cls=ListByDefault)
def command() -> None:
    """List conversations that cannot move, and skip what blocks one.

    `pushlane blocked [CHANNEL]... [--limit N] [--json]` is `pushlane blocked list …`: write `list` if a channel has the
    name of a command.
    """


@command.command("list", short_help="List blocked conversations.")
@click.argument("names", nargs=-1, metavar="[CHANNEL]...", shell_complete=completion.channels)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many, longest blocked first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_(names: tuple[str, ...], limit: int, as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """List the blocked conversations of the named channels, or of all, longest blocked first.

    They are preceded by a line for each channel whose gate is closed.
    """
    with queue.inspector() as inspector:
        for name in names:
            inspector.require(name)
        states = inspector.states(list(dict.fromkeys(names)) or inspector.channels())
        known = [state for state in states.values() if isinstance(state, Overview)]
        each = (inspector.blocked(one.channel, limit) for one in known if one.blocked)
        found = list(islice(heapq.merge(*each, key=_since), limit))
    gates = {one.channel: one.gate for one in known if _is_closed(one.gate)}
    total = sum(one.blocked for one in known)
    if as_json:
        closed = [{"channel": name} | as_fields(gate) for name, gate in gates.items()]
        print_json({"gates": closed, "blocked": [as_fields(one) for one in found], "total": total})
    else:
        for state in states.values():
            if isinstance(state, NewerChannel):
                click.echo(state)
        _print(gates, found, total)
    queue.require_readable(states)


@command.command("skip", short_help="Send the message that blocks one to the dead letters.")
@click.argument("channel", shell_complete=completion.channels)
@click.argument("conversation", type=utf8)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def skip(channel: str, conversation: str, as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Move the message that blocks CONVERSATION to the dead letters, so that those behind it can go.

    Exit 1 if it could not be skipped.
    """
    with queue.operator() as operator:
        skipped = operator.skip(channel, conversation)
    if skipped.result in _NOT_SKIPPED:
        raise Failed(
            f"conversation {conversation!r} of channel {channel!r} was not skipped ({skipped.result}):"
            f" {_NOT_SKIPPED[skipped.result]}"
        )
    if as_json:
        print_json({"channel": channel, "conversation": conversation} | as_fields(skipped))
    else:
        click.echo(f"message {skipped.message_id} is now a dead letter (exhausted); the messages behind it can go")


def _is_closed(gate: Gate) -> bool:
    return gate.paused_since is not None or gate.state != "open"


def _since(one: Blocked) -> float:
    return one.since.timestamp() if one.since else 0.0


def _print(gates: dict[str, Gate], found: list[Blocked], total: int) -> None:
    for name, gate in gates.items():
        for why in _why_closed(gate):
            click.echo(fit(f"{name}: everything waits: {why}"))
    for one in found:
        _print_one(one)
    if not found:
        click.echo("no conversation is blocked" + (" by its own message" if gates else ""))
    elif total > len(found):
        click.echo(f"… and {total - len(found):,} more: see --limit")


def _why_closed(gate: Gate) -> Iterator[str]:
    if gate.paused_since is not None:
        yield f"paused since {moment(gate.paused_since)}"
    if gate.state != "open":
        until = f" until {moment(gate.until)}" if gate.until else ""
        yield f"{gate.state} since {moment(gate.changed)} ({gate.reason}){until}"


def _print_one(one: Blocked) -> None:
    next_try = _NEXT.get(one.state) or f"{_UNTIL.get(one.state, 'next try')} {moment(one.next_try)}"
    attempts = "" if one.attempts is None else f", {counted(one.attempts, 'attempt')}"
    click.echo(fit(f"{one.channel}  {one.conversation}"))
    click.echo(fit(f"  since {moment(one.since)}, {next_try}, {one.behind:,} behind it"))
    click.echo(fit(f"  message {one.message_id or '-'}{attempts}"))
    click.echo(fit(f"  {one.why or '-'}"))
