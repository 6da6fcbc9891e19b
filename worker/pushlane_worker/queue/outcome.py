"""The result of a push: the answer as received, and the outcome read from it.

An outcome depends on both the HTTP status and the JSON ``code``. The channel kinds read it (``channels/``), the
pure rules of ``retry.py`` turn it into the next step, and ``lua/turn.lua`` carries that step out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pushlane.outcome import Outcome

MAX_DETAIL_CHARS = 500
"""A peer's own text is kept up to this length, in logs and in dead letters."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer within the size limit."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class PushResult:
    """An outcome and what the next step needs to know about it."""

    outcome: Outcome
    detail: str = ""
    """The reason, in the API's own words if it gave any; at most ``MAX_DETAIL_CHARS``."""
    retry_after_s: float | None = None
    """The Retry-After header in seconds from now; None if missing or unreadable."""
    reached: bool = True
    """Whether the API may have counted the request against its rate limit."""
    lone: bool = False
    """A throttling that may concern only its conversation: chat platforms also limit single rooms."""
    whole: bool = False
    """A rejection of the whole batch (its destination does not exist), so that splitting it is pointless."""
    log: Mapping[str, str] = field(default_factory=dict)
    """Fields that the answer adds to the push's log line, such as a correlation id."""
