"""How a command that went wrong ends: one line that names what would be right, and one exit code.

2 where nothing was attempted because the command line, a setting or a message is wrong; 1 where it was, and failed.
"""

import click
import redis

from pushlane.errors import IdempotencyConflict, PushlaneError, QueueFull, QueueUnavailable
from pushlane_worker.errors import EmbeddedServerError

ATTEMPTED = (IdempotencyConflict, QueueFull, QueueUnavailable, EmbeddedServerError)
REDIS = "PUSHLANE_REDIS_URL"


class Failed(click.ClickException):
    """It was attempted and did not succeed: exit 1."""

    exit_code = 1


class Refused(click.ClickException):
    """Nothing was attempted, because something that the user said is wrong: exit 2."""

    exit_code = 2


def explain(error: Exception) -> tuple[str, int] | None:
    """The line and the exit code of an error; None for one that is a bug of ours and deserves its traceback."""
    line = _line(error)
    return None if line is None else (one_line(line), _exit_code(error))


def _line(error: Exception) -> str | None:
    match error:
        case click.ClickException():
            return error.format_message()
        case QueueUnavailable():
            return f"{REDIS}: {error}"
        case QueueFull():
            return f"{error} (MAX_QUEUED of the channel and Redis's maxmemory are its limits)"
        case redis.RedisError():
            return f"{REDIS}: the queue is unavailable: {str(error) or type(error).__name__}"
        case PushlaneError() | OSError():
            return str(error)
    return None


def _exit_code(error: Exception) -> int:
    if isinstance(error, click.ClickException):
        return error.exit_code
    # Without the package of the built-in server nothing was started.
    attempted = isinstance(error, ATTEMPTED) and not isinstance(error.__cause__, ImportError)
    return 1 if attempted or not isinstance(error, PushlaneError) else 2


def one_line(text: str) -> str:
    """The text without line breaks and without what would steer a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
