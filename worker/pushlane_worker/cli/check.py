"""``pushlane check``: checks that everything a worker needs is there. Pushes nothing."""

import http.client
import os
import ssl
from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import click
import redis

from pushlane.errors import NewerChannel
from pushlane.keys import CHANNELS
from pushlane.operators.inspection import Inspector
from pushlane.operators.overview import Overview
from pushlane.operators.states import State, is_unreadable
from pushlane.service.printable import one_line
from pushlane.service.redis_requirements import Finding, broker_findings
from pushlane_worker.channel_settings import ChannelSettings
from pushlane_worker.cli.exit_codes import REDIS, words_of
from pushlane_worker.cli.output import counted, some
from pushlane_worker.dispatch.consumers import ENQUEUE_QUEUE
from pushlane_worker.proxy import Proxy
from pushlane_worker.settings import Settings, load_settings

if TYPE_CHECKING:
    from kombu import Connection

TIMEOUT_S = 3.0


@click.command("check")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Check settings, Redis, the broker and the remote addresses; exit 1 if one of them fails.

    Connects to the remote addresses, through their PROXY_URL if they have one, but sends nothing to them.
    """
    settings = load_settings()
    # Celery takes a while to load, so check the settings first. If it is not installed, nothing is printed before.
    import_module("pushlane_worker.celery")
    failed = False
    for verdict, what in _findings(settings):
        failed = failed or verdict == "failed"
        click.echo(f"{verdict:<8} {one_line(what)}")
    ctx.exit(1 if failed else 0)


def _findings(settings: Settings) -> Iterator[Finding]:
    if settings.channels:
        yield Finding("ok", f"settings: {counted(len(settings.channels), 'channel')}: {', '.join(settings.channels)}")
    else:
        yield Finding("warning", "settings: no channel is set (PUSHLANE_CHANNELS__<NAME>__KIND): nothing to push")
    if settings.heartbeat_file is not None:
        yield _heartbeat(settings.heartbeat_file)
    yield from _redis(settings)
    yield from _broker(settings)
    for name, channel in settings.channels.items():
        yield _remote(name, channel)


def _redis(settings: Settings) -> Iterator[Finding]:
    try:
        with Inspector(settings.redis_url, timeout=TIMEOUT_S) as inspector:
            yield from inspector.findings()
            yield from _strays(inspector)
            states = inspector.states(list(settings.channels))
            yield from _registered(states)
            yield from _consumers(settings, states, inspector.consumed_queues())
    except (redis.RedisError, OSError) as error:
        yield Finding("failed", f"{REDIS}: {words_of(error)}")


def _registered(states: Mapping[str, State]) -> Iterator[Finding]:
    for name, state in states.items():
        if is_unreadable(state):
            yield Finding("failed", f"channel {name}: {words_of(state)}")
        elif isinstance(state, NewerChannel):
            yield Finding("failed", str(state))
        elif state is None:
            how = f"a worker or `pushlane channel register {name}` does that"
            yield Finding("warning", f"channel {name}: not registered yet; {how}")


def _strays(inspector: Inspector) -> Iterator[Finding]:
    if strays := inspector.strays():
        what = f"the set {CHANNELS} has {some([repr(name) for name in strays])}, which no channel can be called"
        yield Finding("warning", f"Redis: {what}: ignored; remove it with SREM")


def _consumers(settings: Settings, states: Mapping[str, State], consumed: Collection[str]) -> Iterator[Finding]:
    """A queue that no worker consumes delivers nothing, which is a failure if messages are waiting."""
    for name, channel in settings.channels.items():
        if channel.queue not in consumed:
            state = states[name]
            waiting = state.depth if isinstance(state, Overview) else 0
            waits = (
                f", for which {counted(waiting, 'message')} {'waits' if waiting == 1 else 'wait'}" if waiting else ""
            )
            yield Finding(
                "failed" if waiting else "warning",
                f"channel {name}: no worker consumes its queue {channel.queue}{waits}",
            )
    if ENQUEUE_QUEUE not in consumed:
        yield Finding(
            "warning", f"queue {ENQUEUE_QUEUE}: no worker consumes it: messages of Celery services wait there"
        )


def _broker(settings: Settings) -> Iterator[Finding]:
    from kombu.exceptions import OperationalError  # noqa: PLC0415 # see command

    from pushlane_worker.celery import app  # noqa: PLC0415 # the same

    try:
        with app.connection_for_write(connect_timeout=TIMEOUT_S) as connection:
            connection.ensure_connection(max_retries=0, timeout=TIMEOUT_S)
            yield Finding("ok", f"broker: {_address(connection)}")
            if settings.broker_url:  # otherwise it is the queue's Redis
                with connection.default_channel.conn_or_acquire() as client:
                    yield from broker_findings(client.info())
    except redis.exceptions.NoPermissionError as error:
        yield Finding("warning", f"broker: cannot check its settings: {error}")
    except (OperationalError, redis.RedisError, OSError) as error:
        yield Finding("failed", f"broker: {settings.broker_setting}: {words_of(error)}")


def _address(connection: "Connection") -> str:
    """The broker's address. kombu's own text has stars for a password even where there is none."""
    text: str = connection.as_uri()
    return text if connection.password else text.replace("//:**@", "//").replace(":**@", "@")


def _heartbeat(file: Path) -> Finding:
    """Whether a worker that runs here could keep its heartbeat: its processes make files of their own beside it."""
    writable = os.access(file.parent, os.W_OK | os.X_OK) and (not file.exists() or os.access(file, os.W_OK))
    problem = "can be written" if writable else "cannot be written here, and a worker does not start without it"
    return Finding("ok" if writable else "failed", f"PUSHLANE_HEARTBEAT_FILE: {file} {problem}")


def _remote(name: str, channel: ChannelSettings) -> Finding:
    url, proxy = channel.address, channel.proxy_url
    variable = f"PUSHLANE_CHANNELS__{name.upper()}__{'URL' if channel.url else 'BASE_URL'}"
    through = f" through the proxy {proxy.url}" if proxy else ""
    try:
        how = _connect(urlsplit(url), proxy)
    except (OSError, ValueError, http.client.HTTPException) as error:
        what = words_of(error)
        return Finding("failed", f"channel {name}: {variable}: {url} cannot be reached{through}: {what}")
    return Finding("ok", f"channel {name}: {url} can be reached{through}, {how}")


def _connect(address: SplitResult, proxy: Proxy | None) -> str:
    """Connects as a push does and says how; without TLS there is no tunnel, so only the proxy is reached."""
    secure, host = address.scheme == "https", address.hostname or ""
    first = urlsplit(proxy.url) if proxy else address
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(first.hostname or "", first.port or (443 if secure and not proxy else 80), timeout=TIMEOUT_S)
    try:
        if proxy and secure:
            connection.set_tunnel(host, address.port or 443, proxy.headers)
        connection.connect()
        if isinstance(connection.sock, ssl.SSLSocket):
            return str(connection.sock.version())
        return "as far as the proxy" if proxy else "without TLS"
    finally:
        connection.close()
