"""What ``pushlane status --watch`` has read: the last state, and the last seconds' deliveries."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pushlane.operators.overview import Overview
from pushlane.operators.states import State

SECONDS: Final = 10
"""Over how many of the last readings deliveries a second are measured; all that is kept of the past."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The wanted channels at one moment. With a ``problem`` Redis did not answer, and the rest is empty.

    ``hours`` has the messages delivered in each of the last 60 minutes, for some of the channels.
    """

    at: datetime
    states: Mapping[str, State] = field(default_factory=dict)
    hours: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    unfed: int = 0
    problem: str = ""


class History:
    """The latest reading that Redis answered, and whether it is away since."""

    def __init__(self) -> None:
        self.latest: Reading | None = None
        self.away: Reading | None = None
        """The first reading that Redis did not answer; None while it does."""
        self._delivered: deque[tuple[datetime, dict[str, int]]] = deque(maxlen=SECONDS + 1)

    def add(self, reading: Reading) -> None:
        """Takes in the next reading."""
        if reading.problem:
            self.away = self.away or reading
            return
        self.latest, self.away = reading, None
        found = reading.states.items()
        self._delivered.append((reading.at, {name: one.delivered for name, one in found if isinstance(one, Overview)}))

    def per_s(self, channel: str) -> float | None:
        """Messages of the channel delivered per second of the last ten; None before its second reading."""
        known = [(at, delivered[channel]) for at, delivered in self._delivered if channel in delivered]
        if len(known) < 2:  # noqa: PLR2004 # a rate lies between two readings
            return None
        (first_at, first), (last_at, last) = known[0], known[-1]
        # It can fall: a channel may be removed and registered again.
        return max(last - first, 0) / max((last_at - first_at).total_seconds(), 0.001)
