"""Clients of the queue, for commands that need no channel settings."""

import os
import pwd
import socket
from collections.abc import Mapping

from pushlane.address import parse
from pushlane.errors import SettingsError
from pushlane.operators.actions import Operator
from pushlane.operators.inspection import Inspector
from pushlane.operators.states import State, is_unreadable
from pushlane_worker.cli.exit_codes import REDIS, Failed
from pushlane_worker.cli.output import counted, some
from pushlane_worker.settings import Settings, load_addresses


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


def require_readable(states: Mapping[str, State]) -> None:
    """Raises Failed if some channels cannot be read. That a newer release has registered one is no failure."""
    if unreadable := [name for name, state in states.items() if is_unreadable(state)]:
        raise Failed(f"{counted(len(unreadable), 'channel')} cannot be read: {some(unreadable)}")


def whoami() -> str:
    """Who runs the command, as the audit has it: the user and the host."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run as a user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
