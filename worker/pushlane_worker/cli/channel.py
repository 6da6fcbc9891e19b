"""``pushlane channel``: registers, lists, pauses, resumes and removes channels."""

import asyncio

import click

from pushlane.errors import NewerChannel
from pushlane.operators.overview import Overview
from pushlane.operators.states import State, is_unreadable
from pushlane.service.printable import one_line
from pushlane_worker.channel_settings import ChannelSettings
from pushlane_worker.channels.channel import channel_records
from pushlane_worker.cli import completion, queue
from pushlane_worker.cli.exit_codes import Failed, Refused, words_of
from pushlane_worker.cli.output import counted, print_json
from pushlane_worker.queue.store import Store
from pushlane_worker.settings import Settings, load_settings


@click.group("channel")
def command() -> None:
    """Register, list, pause, resume and remove channels."""


@command.command("register", short_help="Make a channel known before its first worker.")
@click.argument("name")
def register(name: str) -> None:
    """Write channel NAME from the settings to Redis, so that producers can send before the first worker runs."""
    settings = load_settings()
    if name not in settings.channels:
        known = ", ".join(settings.channels) or "none"
        raise Refused(f"PUSHLANE_CHANNELS__{name.upper()}__KIND: is not set; the channels in the settings: {known}")
    fresh = asyncio.run(_register(settings, name))
    click.echo(f"{name}: {'registered' if fresh else 'was already registered and is up to date'}")


@command.command("list", short_help="List registered and configured channels.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_(as_json: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """List the channels that are registered in Redis or in the local settings."""
    configured = load_settings().channels
    with queue.inspector() as inspector:
        states = inspector.states(sorted({*inspector.channels(), *configured}))
    rows = {name: _row(name, state, configured.get(name)) for name, state in states.items()}
    if as_json:
        print_json({"channels": list(rows.values())})
    else:
        for name, row in rows.items():
            url = row["url"] or "not in the settings here"
            click.echo(f"{name}  {row['kind']}  {url}  {_registered(states[name])}")
    queue.require_readable(states)


@command.command("pause", short_help="Start no more pushes.")
@click.argument("name", shell_complete=completion.channels)
def pause(name: str) -> None:
    """Start no more pushes of channel NAME. It still accepts messages, and pushes in flight are not affected."""
    with queue.operator() as operator:
        changed = operator.pause(name)
    click.echo(f"{name}: {'paused' if changed else 'was already paused'}")


@command.command("resume", short_help="End a pause.")
@click.argument("name", shell_complete=completion.channels)
def resume(name: str) -> None:
    """Resume channel NAME; whether it pushes is then up to its gate."""
    with queue.operator() as operator:
        changed = operator.resume(name)
    click.echo(f"{name}: {'resumed' if changed else 'was not paused'}")


@command.command("remove", short_help="Remove a channel that no worker has any more.")
@click.argument("name", shell_complete=completion.channels)
@click.option("--force", is_flag=True, help="Delete its queued messages and dead letters, too.")
def remove(name: str, force: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Remove channel NAME from Redis; exit 1 while it has messages or dead letters.

    Remove it from the settings of all workers first: a running one registers it again.
    """
    with queue.operator() as operator:
        removal = operator.remove(name, force=force)
    had = f"{counted(removal.messages, 'queued message')} and {counted(removal.dead_letters, 'dead letter')}"
    if not removal.removed:
        raise Failed(f"channel {name!r} has {had}: --force deletes them, too")
    click.echo(f"{name}: removed, with {had}")
    if removal.served:
        click.echo(f"{name}: a worker served it less than a minute ago and registers it again if it is still running")


def _registered(state: State) -> str:
    if is_unreadable(state):
        return one_line(words_of(state))
    if isinstance(state, NewerChannel):
        return "registered by a newer release"
    return "not registered" if state is None else "registered"


def _row(name: str, state: State, settings: ChannelSettings | None) -> dict[str, object]:
    return {
        "channel": name,
        "kind": state.kind if isinstance(state, Overview) else settings and settings.kind,
        "registered": None if is_unreadable(state) else state is not None,
        "url": settings and settings.address,
        "queue": settings and settings.queue,
        "rate_limit": settings and settings.rate_limit and str(settings.rate_limit),
    }


async def _register(settings: Settings, name: str) -> bool:
    store = Store.connect(settings.redis_url, channel_records(settings))
    try:
        return await store.register(name)
    finally:
        await store.aclose()
