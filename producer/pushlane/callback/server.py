"""Runs the app on uvicorn: one process, or several that share the port."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import resource
import signal
import socket
import sys
from typing import TYPE_CHECKING, Final

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from pushlane.callback import library_log
from pushlane.callback.app import check_app
from pushlane.callback.connection import KEEP_ALIVE_S, Connection
from pushlane.callback.connection_limit import ConnectionLimit
from pushlane.callback.settings import load_callback_settings
from pushlane.errors import SettingsError
from pushlane.logs import configure, logger

if TYPE_CHECKING:
    from pushlane.callback.settings import CallbackSettings

GRACE_S: Final = 9
"""How long requests in flight may go on after SIGTERM: as long as any may take: 5 s to arrive, twice 2 s for Redis."""
BACKLOG: Final = 2048
"""Connections that wait for the processes to take them."""
MAX_CONNECTIONS: Final = 2000
"""Of a process: it would only be late for more of them."""
SEND_BYTES: Final = 64 * 1024
"""Of answers that nobody reads, so much waits in the kernel, which would take megabytes of each connection."""
OTHER_FILES: Final = 200
"""Of a process: its connections to Redis, its log, its spool and what policies open."""


def run(host: str, port: int, workers: int) -> None:
    """Serves until it is stopped.

    Raises:
        SettingsError: A setting is wrong, or requests would be taken unsigned from anywhere. Nothing was started.
        OSError: The port cannot be had.
    """
    settings = load_callback_settings()
    check_open(settings, host)
    configure(settings.log_format, settings.log_level)
    library_log.take_over()
    # uvicorn raises the signal again that ended it: a stop that was asked for is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    asyncio.run(check_app(settings))  # whatever is wrong ends the start here, and not in each worker
    most = _connections()
    proxies = settings.moderation.trusted_proxies if settings.moderation else ()
    config = uvicorn.Config(
        "pushlane.callback.app:create_app",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        loop="uvloop",
        http=functools.partial(Connection, ConnectionLimit(most, most // 2, proxies)),  # type: ignore[arg-type] # it calls it
        ws="none",
        access_log=False,
        log_config=None,
        proxy_headers=False,  # only the proxies of the settings are believed
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    with _listening(host, port) as listener:
        logger().info("callback.listening", host=host, port=listener.getsockname()[1], workers=workers)
        if workers == 1:
            uvicorn.Server(config).run([listener])
        else:
            supervisor = Multiprocess(config, [listener])
            supervisor.run()
            # Stopped by itself, because a worker could not start.
            if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
                sys.exit(1)


def _connections() -> int:
    """How many connections a process may hold: files are few where nobody has raised their limit."""
    needed = MAX_CONNECTIONS + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return MAX_CONNECTIONS
    allowed = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(2, allowed - OTHER_FILES)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)  # its connections have it from here
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        raise OSError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    listener.set_inheritable(True)  # its only argument
    return listener


def check_open(settings: CallbackSettings, host: str) -> None:
    """Raises SettingsError when there is nothing to serve, or unsigned requests could come from another machine."""
    moderation = settings.moderation
    if moderation is None:
        if not settings.api_keys and not settings.webhook:
            raise SettingsError(
                "PUSHLANE_MODERATION__SDK_APP_IDS", "is missing, and so are a webhook and an API key: nothing to serve"
            )
        return
    if moderation.read_tokens() or moderation.unsigned or _is_loopback(host):
        return
    raise SettingsError(
        "PUSHLANE_MODERATION__TOKENS",
        f"is missing: without it the callback listens on loopback only, not on {host};"
        " or set UNSIGNED=true and SOURCE_NETWORKS",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
