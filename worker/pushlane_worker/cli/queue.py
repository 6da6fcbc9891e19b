"""Clients of the queue, for commands that need no channel settings."""

import os
import pwd
import socket
from collections.abc import Callable
from typing import TypeVar

from pushlane.address import parse
from pushlane.errors import NewerChannel, SettingsError
from pushlane.operators.actions import Operator
from pushlane.operators.inspection import Inspector
from pushlane_worker.cli.exit_codes import REDIS
from pushlane_worker.settings import Settings, load_addresses

T = TypeVar("T")


def redis_url() -> str:
    """The queue's address. It has no default here, because that could be someone else's Redis."""
    given = load_addresses()
    if "redis_url" not in given.model_fields_set:
        raise SettingsError(REDIS, f"is missing: {Settings.model_fields['redis_url'].description}")
    try:
        parse(given.redis_url)
    except ValueError as error:
        raise SettingsError(REDIS, str(error)) from None
    return given.redis_url


def inspector() -> Inspector:
    """An inspector of the queue."""
    return Inspector(redis_url())


def operator() -> Operator:
    """The same, for commands that change something."""
    return Operator(redis_url(), by=whoami())


def or_newer(read: Callable[[str], T], channel: str) -> T | NewerChannel:
    """What this reads of the channel. That of a newer release does not hide the others."""
    try:
        return read(channel)
    except NewerChannel as error:
        return error


def whoami() -> str:
    """Who runs the command, as the audit has it: the user and the host."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run as a user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
