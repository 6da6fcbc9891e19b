"""The names of channels, for a shell that completes a word.

::

    eval "$(_PUSHLANE_COMPLETE=bash_source pushlane)"
"""

import click
import redis

from pushlane.errors import PushlaneError
from pushlane.operators.inspection import Inspector
from pushlane_worker.cli import queue

TIMEOUT_S = 0.3
"""How long a TAB waits for Redis."""
MOST = 1000


def channels(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """The registered channels whose names begin so; none if Redis does not answer or its address is not set."""
    try:
        with Inspector(queue.redis_url(), timeout=TIMEOUT_S) as inspector:
            return [name for name in inspector.channels() if name.startswith(incomplete)][:MOST]
    except (PushlaneError, redis.RedisError, OSError, ValueError):
        return []
