"""How a failed command ends: with one line that says what to correct, and one exit code.

The code is 2 if nothing was attempted because the command line, a setting or a message is wrong, and 1 if it was
attempted and failed.
"""

import re
from typing import Final

import click
import redis

from pushlane.errors import IdempotencyConflict, NewerChannel, PushlaneError, QueueFull, QueueUnavailable
from pushlane.service.printable import one_line
from pushlane_worker.errors import EmbeddedServerError

ATTEMPTED = (IdempotencyConflict, QueueFull, QueueUnavailable, EmbeddedServerError)
REDIS = "PUSHLANE_REDIS_URL"
_IN_PIPELINE: Final = re.compile(r"Command # \d+ \(.*?\) of pipeline caused error: ", re.DOTALL)


class Failed(click.ClickException):
    """The command was attempted and failed: exit 1."""

    exit_code = 1


class Refused(click.ClickException):
    """Nothing was attempted because of wrong input: exit 2."""

    exit_code = 2


def explain(error: Exception) -> tuple[str, int] | None:
    """The line and the exit code of an error; None for a bug of ours, which should show its traceback."""
    return None if _line(error) is None else (line_of(error), _exit_code(error))


def line_of(error: Exception) -> str:
    """The line alone, for an error that does not end the command, or not by itself."""
    return one_line(_line(error) or str(error))


def words_of(error: Exception) -> str:
    """What it says, without the part of a pipeline that redis-py quotes before it."""
    return _IN_PIPELINE.sub("", str(error)) or type(error).__name__


def _line(error: Exception) -> str | None:
    match error:
        case click.ClickException():
            return error.format_message()
        case QueueUnavailable() if not isinstance(error, NewerChannel):
            return f"{REDIS}: {words_of(error)}"
        case QueueFull():
            return f"{error} (its limits are the channel's MAX_QUEUED and Redis's maxmemory)"
        case redis.RedisError():
            return f"{REDIS}: the queue is unavailable: {words_of(error)}"
        case PushlaneError() | OSError():
            return str(error)
    return None


def _exit_code(error: Exception) -> int:
    if isinstance(error, click.ClickException):
        return error.exit_code
    # If the built-in server's package is missing, nothing was started.
    attempted = isinstance(error, ATTEMPTED) and not isinstance(error.__cause__, ImportError)
    return 1 if attempted or not isinstance(error, PushlaneError) else 2
