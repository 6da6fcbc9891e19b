"""How many decisions moderation has made, by verdict and policy, and how long they took; how many are not done."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pushlane.keys import DECISIONS_PREFIX, POSTPONED, UNFED
from pushlane.operators.overview import Histogram

if TYPE_CHECKING:
    from collections.abc import Mapping

DECISION_MS: Final = (5, 10, 25, 50, 100, 250, 500, 1000, 1500, 2000)
"""The upper bounds of the durations that ``lua/record_decisions.lua`` counts."""


@dataclass(frozen=True, slots=True)
class DecisionCount:
    """Decisions with this verdict that this policy made, or ``chain`` or ``on_error`` if none did.

    ``seconds`` are those from the request to the verdict.
    """

    verdict: str
    policy: str
    seconds: Histogram


class Unfed(NamedTuple):
    """Decisions that are not carried out yet, counted once per lane in which they wait; and how many lanes wait."""

    decisions: int
    lanes: int


def read_unfed(client: Any) -> Unfed:  # noqa: ANN401 # see Inspector
    """Those of now. Raises redis.RedisError."""
    lanes = client.zrange(POSTPONED, 0, -1)
    with client.pipeline(transaction=False) as batch:
        batch.zcard(UNFED)
        for lane in lanes:
            batch.zcard(f"{DECISIONS_PREFIX}lane:{lane.decode()}")
        return Unfed(sum(batch.execute()), len(lanes))


def read_decision_counts(counters: Mapping[bytes, bytes]) -> list[DecisionCount]:
    """The counts in the hash ``verdicts``, by verdict and policy."""
    counts = {name.decode(): int(value) for name, value in counters.items()}
    makers = sorted(name.removeprefix("all ") for name in counts if name.startswith("all "))
    return [_count(counts, maker) for maker in makers]


def _count(counts: Mapping[str, int], maker: str) -> DecisionCount:
    within = accumulate(counts.get(f"took_{bound} {maker}", 0) for bound in DECISION_MS)
    buckets = {bound / 1000: count for bound, count in zip(DECISION_MS, within, strict=True)}
    verdict, _, policy = maker.partition(" ")
    return DecisionCount(verdict, policy, Histogram(buckets, counts[f"all {maker}"], counts[f"took_ms {maker}"] / 1000))
