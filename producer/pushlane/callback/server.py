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

from pushlane.callback.app import check_app
from pushlane.callback.http import library_log
from pushlane.callback.http.connection import KEEP_ALIVE_S, Connection
from pushlane.callback.http.connection_limit import ConnectionLimit
from pushlane.callback.settings import load_callback_settings
from pushlane.errors import SettingsError
from pushlane.service.logs import configure, logger

if TYPE_CHECKING:
    from pushlane.callback.settings import CallbackSettings

GRACE_S: Final = 9
"""How long requests in flight may continue after SIGTERM: the longest takes 5 s to arrive, and twice 2 s for Redis."""
BACKLOG: Final = 2048
"""Connections that may wait for a process to accept them."""
MAX_CONNECTIONS: Final = 2000
"""Per process: with more of them, it would only be late."""
SEND_BYTES: Final = 64 * 1024
"""How much of an unread answer the kernel buffers; it would take megabytes per connection."""
OTHER_FILES: Final = 200
"""Per process: its connections to Redis, its log, its spool and what policies open."""


def run(host: str, port: int, workers: int) -> None:
    """Serves until it is stopped.

    Raises:
        SettingsError: A setting is wrong, or unsigned requests would be accepted from anywhere. Nothing was started.
        OSError: The port is not available.
    """
    settings = load_callback_settings()
    check_open(settings, host)
    configure(settings.log_format, settings.log_level)
    library_log.take_over()
    # uvicorn raises the signal that ended it again: a requested stop is not a failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    asyncio.run(check_app(settings))  # fail here, not in each worker
    most = _connections()
    config = uvicorn.Config(
        "pushlane.callback.app:create_app",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        loop="uvloop",
        http=functools.partial(Connection, ConnectionLimit(most, most // 2, settings.trusted_proxies)),  # type: ignore[arg-type] # it is called
        ws="none",
        access_log=False,
        log_config=None,
        proxy_headers=False,  # only the proxies in the settings are trusted
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    with _listening(host, port) as listener:
        if settings.moderation and not settings.moderation.read_tokens() and not settings.moderation.unsigned:
            logger().warning(
                "callback.unsigned",
                problem="without a webhook token, everybody on this machine can send questions",
                setting="PUSHLANE_MODERATION__TOKENS or TOKENS_FILE",
            )
        logger().info("callback.listening", host=host, port=listener.getsockname()[1], workers=workers)
        if workers == 1:
            uvicorn.Server(config).run([listener])
        else:
            supervisor = Multiprocess(config, [listener])
            supervisor.run()
            # It stopped by itself, because a worker could not start.
            if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
                sys.exit(1)


def _connections() -> int:
    """How many connections a process may hold; raises the limit of open files, which is low by default."""
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
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)  # its connections inherit it
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        raise OSError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    listener.set_inheritable(True)  # a positional-only argument
    return listener


def check_open(settings: CallbackSettings, host: str) -> None:
    """Raises SettingsError if there is nothing to serve, or unsigned requests could come from another machine."""
    moderation = settings.moderation
    if moderation is None:
        if not settings.api_keys and not settings.webhook and settings.dashboard is None:
            raise SettingsError(
                "PUSHLANE_MODERATION__SDK_APP_IDS",
                "is missing, and so are a webhook, an API key and the page's password: nothing to serve",
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
