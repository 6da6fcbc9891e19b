"""What a push came to: the answer as it arrived, and the outcome read from it.

An outcome is judged on the HTTP status and the JSON ``code`` together. The channel kinds read it (``channels/``), the
pure rules of ``retry.py`` turn it into the next step, and ``lua/turn.lua`` carries that step out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

MAX_DETAIL_CHARS = 500
"""A peer's own words are kept up to this length, in logs and in dead letters."""


class Outcome(IntEnum):
    """The result of one push. ``lua/turn.lua`` and ``lib_outcomes.lua`` repeat these values."""

    DELIVERED = 1
    THROTTLED = 2
    MISCONFIGURED = 3
    REJECTED = 4
    FAILED = 5
    UNKNOWN = 6
    UNSENT = 7
    """The batch was given back before a byte of it was written: no attempt, and its rate place is free again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, complete and within bounds."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class PushResult:
    """An outcome with what the next step needs to know about it."""

    outcome: Outcome
    detail: str = ""
    """Why, in the API's own words where it had some; at most ``MAX_DETAIL_CHARS``."""
    retry_after_s: float | None = field(default=None)
    """What a Retry-After header asked for, in seconds from now; None when there was none that could be read."""
    reached: bool = True
    """Whether the API may have counted the request against its rate limit."""
    lone: bool = False
    """A throttling that may be meant for its conversation alone: chat platforms limit each room, too."""
    whole: bool = False
    """A rejection that condemns the whole batch (its destination does not exist), so that splitting it is no use."""
    log: Mapping[str, str] = field(default_factory=dict)
    """What the answer adds to the log line of the push, such as a correlation id."""
