"""The rate limit, as the API could count it: it may look at its clock anywhere in a push."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from chaos.storm.fate import CLOCK_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos.storm.evidence import Evidence

LIMITED = "support"


def hurried(evidence: Evidence) -> Iterator[str]:
    """Windows in which the API could have counted more pushes than the limit; the worst one."""
    limit, window_s = evidence.rate
    came = sorted(push.came for push in evidence.pushes if push.channel == LIMITED)
    ended = sorted(push.ended for push in evidence.pushes if push.channel == LIMITED)
    counts = [(index + 1 - bisect_right(ended, at - window_s + CLOCK_S), at) for index, at in enumerate(came)]
    over = [(count, at) for count, at in counts if count > limit]
    if over:
        count, at = max(over)
        yield f"{count} pushes of {LIMITED} in {window_s:g} s before {at:.3f}, not {limit}; {len(over)} such windows"
