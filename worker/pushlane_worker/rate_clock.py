"""What a channel's rate window can take for the time at most, by this process's monotonic clock.

The server's clock may step ahead, and free places that it must not. A reply says what the window's clock showed, at a
time that was not before the request left; so from then on the clock can be no further ahead of ours than that. The next
call says so, and ``lua/lib_gate.lua`` takes out what is beyond it: for all processes, before it trims the window.
"""

import math
from dataclasses import dataclass

DRIFT = 0.0002
"""How much faster the server's clock may run than ours: two quartz clocks are off by 100 in a million each at most."""


@dataclass(slots=True)
class RateClock:
    """The clock of one channel's rate window, as this process knows it. Times of ours are monotonic seconds."""

    _ahead_ms: float = math.inf
    _seen_at: float = 0.0

    def latest(self, now: float) -> int | str:
        """The ms that it can show at most at our time ``now``; empty when no reply has come yet."""
        return "" if math.isinf(self._ahead_ms) else math.ceil(now * 1000 + self._ahead(now))

    def saw(self, clock_ms: int, sent: float, now: float) -> None:
        """It showed this, cut to whole ms, some time after ``sent``."""
        self._ahead_ms, self._seen_at = min(self._ahead(now), clock_ms + 1 - sent * 1000), now

    def _ahead(self, now: float) -> float:
        return self._ahead_ms + (now - self._seen_at) * 1000 * DRIFT
