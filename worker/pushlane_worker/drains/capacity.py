"""How many pushes each channel may have in flight in this process: one limit for all channels, shared fairly."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Capacity:
    """The slots of one process. Not thread-safe: it belongs to the loop thread.

    Args:
        limit: Pushes in flight across all channels (``MAX_IN_FLIGHT``).
        channels: How many channels the process has. With several, a channel that drains alone leaves an eighth of the
            slots free, so that the others still move when all its pushes hang.
    """

    def __init__(self, limit: int, channels: int) -> None:
        self.limit = limit
        self.alone = limit if channels <= 1 else max(1, limit - max(1, limit // 8))
        self.ahead = limit // 4
        """Claims beyond the slots, so that the next push is ready when one ends."""
        self._taken: Counter[str] = Counter()
        self._drains: Counter[str] = Counter()

    @contextmanager
    def drain(self, channel: str) -> Iterator[None]:
        """While this is open, other channels leave this one an equal share of the slots."""
        self._drains[channel] += 1
        try:
            yield
        finally:
            self._drains[channel] -= 1

    @contextmanager
    def waiting(self, channel: str) -> Iterator[None]:
        """While this is open, a drain of the channel has nothing to claim, and other channels leave it no share."""
        self._drains[channel] -= 1
        try:
            yield
        finally:
            self._drains[channel] += 1

    def share(self, channel: str) -> int:
        """The most pushes that the channel may have in flight now."""
        others = sum(1 for name, count in self._drains.items() if count and name != channel)
        return max(1, self.limit // (others + 1)) if others else self.alone

    def free(self, channel: str) -> int:
        """How many more batches the channel may claim now."""
        others = sum(min(taken, self.alone) for name, taken in self._taken.items() if name != channel)
        room = min(self.share(channel), self.limit - others)
        # Claiming ahead only makes sense if all coroutines may be busy; otherwise the claim would run at once.
        ahead = self.ahead if room >= self.alone else 0
        return max(0, room + ahead - self._taken[channel])

    def reserve(self, channel: str, count: int) -> None:
        """The channel claims ``count`` batches, or is about to."""
        self._taken[channel] += count

    def release(self, channel: str, count: int = 1) -> None:
        """``count`` of its batches are done, or could not be claimed."""
        self._taken[channel] -= count
