"""An upper bound for the clock of a channel's rate window, by this process's monotonic clock.

The server's clock may step ahead and so free rate budget too early. Each reply says what the window's clock showed, at
some time after the request was sent, so the clock can be no further ahead of ours than that. The next call passes this
bound, and ``lua/lib_gate.lua`` removes any step beyond it, for all processes, before it trims the window.
"""

import math
from dataclasses import dataclass

DRIFT = 0.0002
"""How much faster the server's clock may run than ours: two quartz clocks are each off by at most 100 ppm."""


@dataclass(slots=True)
class RateClock:
    """The clock of one channel's rate window, as this process knows it. Our times are monotonic seconds."""

    _ahead_ms: float = math.inf
    _seen_at: float = 0.0

    def latest(self, now: float) -> int | str:
        """The most that it can show at our time ``now``, in ms; empty before the first reply."""
        return "" if math.isinf(self._ahead_ms) else math.ceil(now * 1000 + self._ahead(now))

    def saw(self, clock_ms: int, sent: float, now: float) -> None:
        """Records that it showed ``clock_ms``, cut to whole ms, some time after ``sent``."""
        self._ahead_ms, self._seen_at = min(self._ahead(now), clock_ms + 1 - sent * 1000), now

    def _ahead(self, now: float) -> float:
        return self._ahead_ms + (now - self._seen_at) * 1000 * DRIFT
