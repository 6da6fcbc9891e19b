"""The API's rate limit: a sliding window over the arrival times of pushes."""

from collections import deque


class RateWindow:
    """At most N arrivals in any SECONDS by the rule ``N/SECONDS`` or ``N/SECONDSs``; refused arrivals do not count."""

    def __init__(self, rule: str) -> None:
        limit, _, period = rule.partition("/")
        self._limit = int(limit)
        self._period_s = float(period.removesuffix("s"))
        self._arrivals: deque[float] = deque()

    def wait_s(self, now: float) -> float:
        """Count an arrival at the monotonic time ``now`` and return 0, or return the seconds until one is allowed."""
        arrivals = self._arrivals
        while arrivals and arrivals[0] <= now - self._period_s:
            arrivals.popleft()
        if len(arrivals) >= self._limit:
            return arrivals[0] + self._period_s - now
        arrivals.append(now)
        return 0.0
