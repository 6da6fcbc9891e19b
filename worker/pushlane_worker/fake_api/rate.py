"""The API's rate limit: a sliding window over the arrival times of pushes."""

from collections import deque
from typing import Self


class RateWindow:
    """At most ``limit`` arrivals in any ``period_s`` seconds; refused arrivals do not count."""

    def __init__(self, limit: int, period_s: float) -> None:
        self._limit = limit
        self._period_s = period_s
        self._arrivals: deque[float] = deque()

    @classmethod
    def from_rule(cls, rule: str) -> Self:
        """Read ``N/SECONDS``, with or without a trailing ``s``."""
        limit, _, period = rule.partition("/")
        return cls(int(limit), float(period.removesuffix("s")))

    def wait_s(self, now: float) -> float:
        """Count an arrival at the monotonic time ``now`` and return 0, or return the seconds until one is allowed."""
        arrivals = self._arrivals
        while arrivals and arrivals[0] <= now - self._period_s:
            arrivals.popleft()
        if len(arrivals) >= self._limit:
            return arrivals[0] + self._period_s - now
        arrivals.append(now)
        return 0.0
