"""The outcomes of a push, as workers settle them, scripts count them and operators see them."""

from enum import IntEnum


class Outcome(IntEnum):
    """The result of one push. ``lua/turn.lua`` and ``lib_outcomes.lua`` repeat these values."""

    DELIVERED = 1
    THROTTLED = 2
    MISCONFIGURED = 3
    REJECTED = 4
    FAILED = 5
    UNKNOWN = 6
    UNSENT = 7
    """The batch was given back before any byte was written: no attempt, and its rate budget is free again."""
