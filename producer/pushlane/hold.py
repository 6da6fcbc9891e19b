"""Holds a message in its position until there is a decision on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal

from pushlane.errors import InvalidMessage
from pushlane.message import check_id

MAX_HOLD_DAYS: Final = 7

Verdict = Literal["allow", "rewrite", "forbid", "discard"]
VERDICTS: Final = ("allow", "rewrite", "forbid", "discard")
DECIDED: Final[dict[str, Verdict]] = {"a": "allow", "w": "rewrite", "f": "forbid"}


@dataclass(frozen=True, slots=True)
class StandingDecision:
    """The decision that applies to a key: its first one. ``same``: it is the requested one, whatever its reason.

    ``met`` counts the held messages that this call has decided on.
    """

    verdict: Verdict
    same: bool
    met: int


@dataclass(frozen=True, slots=True)
class Hold:
    """The message waits in its position until there is a decision on ``key``, which may already exist.

    Messages behind it in its conversation wait with it. Several messages may wait for one key.

    Attributes:
        key: 1 to 256 bytes of UTF-8 without control characters.
        timeout: A timedelta or seconds, at most 7 days.
        on_timeout: What happens without a decision: ``dead_letter``, or ``release`` as if it had been allowed.

    Raises:
        InvalidMessage: One of them is invalid.
    """

    key: str
    timeout: timedelta | float
    on_timeout: Literal["dead_letter", "release"] = field(default="dead_letter", kw_only=True)

    def __post_init__(self) -> None:
        check_id("hold.key", self.key)
        seconds = self._seconds()
        if not 0 < seconds <= MAX_HOLD_DAYS * 86400:
            raise InvalidMessage("hold.timeout", f"must be more than 0 and at most {MAX_HOLD_DAYS} days")
        if self.on_timeout not in ("dead_letter", "release"):
            raise InvalidMessage("hold.on_timeout", "must be dead_letter or release")

    def _seconds(self) -> float:
        seconds = self.timeout.total_seconds() if isinstance(self.timeout, timedelta) else self.timeout
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            raise InvalidMessage("hold.timeout", f"must be seconds or a timedelta, not {type(seconds).__name__}")
        return seconds

    @property
    def timeout_ms(self) -> int:
        """The timeout in ms, rounded up."""
        return math.ceil(self._seconds() * 1000)
