"""All judges: pure functions from the evidence to what is wrong, of which a good storm leaves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chaos.storm import accounts, doubts, fate, order, pace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from chaos.storm.evidence import Evidence

JUDGES: Final[Mapping[str, Callable[[Evidence], Iterable[str]]]] = {
    "lost": fate.lost,
    "invented": fate.invented,
    "order": order.disorder,
    "duplicates": fate.doubled,
    "unknown": doubts.groundless,
    "cancelled": fate.silent,
    "dead": fate.dead,
    "rate": pace.hurried,
    "receipts": accounts.receipts,
    "counters": accounts.counters,
    "leases": accounts.leases,
    "residue": accounts.residue,
    "processes": accounts.processes,
    "logs": accounts.logs,
}


def judge(evidence: Evidence) -> dict[str, Sequence[str]]:
    """The problems that each judge found, without those that found none."""
    found = {name: list(judge(evidence)) for name, judge in JUDGES.items()}
    return {name: problems for name, problems in found.items() if problems}
