"""All channels, for whoever looks at the page of all of them."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Final

import redis

from pushlane.operators.inspection import TIMEOUT_S
from pushlane.operators.states import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pushlane.operators.actions import Operator
    from pushlane.operators.states import State

KEPT_S: Final = 1.0
"""How long many channels are shown as they were read."""
FEW: Final = AT_ONCE
"""So many take one round trip, and are read anew for everybody."""


class Fleet:
    """Reads all channels; many of them once a second, however many people look, unless there are others.

    A thousand cost Redis 80 ms and as much of the interpreter, which moderation needs.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reading = threading.Lock()
        self._names: Sequence[str] = ()
        self._found: Mapping[str, State] = {}
        self._read_at = -math.inf

    def states(self, operator: Operator) -> Mapping[str, State]:
        """Their states, by name. Blocks. Raises redis.RedisError."""
        names = operator.channels()
        if len(names) <= FEW:
            return operator.states(names)
        if not self._reading.acquire(timeout=TIMEOUT_S):
            raise redis.TimeoutError("another reader waits for Redis, too")
        try:
            if names != self._names or self._clock() - self._read_at > KEPT_S:
                self._found = operator.states(names)
                self._names, self._read_at = names, self._clock()
            return self._found
        finally:
            self._reading.release()
