"""The verdict on a run with failovers: it excuses what replication loses, and nothing else."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from chaos.failovers.verdict import Fault, Row, Verdict
from chaos.storm.evidence import Arrival, Asked, Evidence, Record, Unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

START = 1_700_000_000.0
KILL = Fault("killed", START + 10, loses_for_s=0.5)
MOVE = Fault("moved", START + 20)
RECORD = Record(
    channel="support",
    conversation="r1",
    state="delivered",
    reason=None,
    detail="",
    maybe_delivered=False,
    attempts=1,
    sequence=1,
    accepted=START,
    joined=START,
    final=START,
)


def _asked(number: int, at: float) -> Asked:
    return Asked(f"a{number}", "support", "r1", f"r1 #{number}", "load", at, receipts=[(number, False)])


def _evidence(*times: float, gone: Sequence[int] = (), absent: Sequence[int] = (), again: Sequence[float] = ()) -> Any:  # noqa: ANN401 # passed on
    """Messages that arrive 0.1 s after these seconds, and what is wrong with some of them.

    ``gone`` ones Redis has forgotten, ``absent`` ones the API has not seen, and the first one arrives ``again``.
    """
    messages = {f"a{number}": _asked(number, START + at) for number, at in enumerate(times)}
    first = [Arrival("support", "r1", f"r1 #{n}", START + at + 0.1) for n, at in enumerate(times) if n not in absent]
    copies = [Arrival("support", "r1", "r1 #0", START + at) for at in again]
    records = {
        f"a{number}": dataclasses.replace(
            RECORD, sequence=number, accepted=START + at, joined=START + at, final=START + at + 0.1
        )
        for number, at in enumerate(times)
        if number not in gone
    }
    arrivals = sorted([*first, *copies], key=lambda one: one.at)
    return Evidence(messages=messages, arrivals=arrivals, records=records)


def _verdict(evidence: Evidence, *faults: Fault) -> Verdict:
    acknowledged = {one.id: one.asked_at for one in evidence.messages.values()}
    return Verdict(evidence, acknowledged, faults, START + 30)


def _steady(*more: float) -> list[float]:
    """A message each second, and these."""
    return sorted([*map(float, range(30)), *more])


def test_a_run_without_losses_is_in_order() -> None:
    """Nothing is wrong, and each span has its messages."""
    verdict = _verdict(_evidence(*_steady()), KILL, MOVE)
    assert list(verdict.problems()) == []
    assert [(row.kind, row.accepted, row.delivered) for row in verdict.rows()] == [
        ("none", 9, 9),
        ("killed", 10, 10),
        ("moved", 11, 11),
    ]


@pytest.mark.parametrize(("at", "excused"), [(9.5, True), (10.2, True), (8.5, False), (12.5, False), (20.0, False)])
def test_what_redis_has_forgotten_is_excused_just_around_a_fault_that_loses_writes(at: float, excused: bool) -> None:  # noqa: FBT001 # a parameter
    """It is counted in any case."""
    times = _steady(at)
    number = times.index(at)
    verdict = _verdict(_evidence(*times, gone=[number], absent=[number]), KILL, MOVE)
    assert sum(row.lost for row in verdict.rows()) == 1
    assert any(problem.startswith("lost") for problem in verdict.problems()) is not excused


def test_a_message_that_redis_says_it_delivered_must_have_arrived() -> None:
    """Around a fault, too."""
    verdict = _verdict(_evidence(*_steady(9.5), absent=[10]), KILL)
    assert [problem.partition(":")[0] for problem in verdict.problems()] == ["lost"]


@pytest.mark.parametrize(("at", "excused"), [(9.5, True), (5.0, False)])
def test_a_duplicate_is_excused_if_its_delivery_may_be_forgotten(at: float, excused: bool) -> None:  # noqa: FBT001 # a parameter
    """Its first arrival decides."""
    verdict = _verdict(_evidence(at, *(one for one in _steady() if one > at), again=[12.0]), KILL)
    assert sum(row.duplicates for row in verdict.rows()) == 1
    assert any(problem.startswith("duplicates") for problem in verdict.problems()) is not excused


def test_a_duplicate_of_a_listed_push_is_explained() -> None:
    """And counted as such."""
    evidence = _evidence(*_steady(), again=[2.0])
    listed = dataclasses.replace(evidence, unknown=[Unknown("support", START + 1, ["a0"], lost=True)])
    verdict = _verdict(listed, KILL)
    assert list(verdict.problems()) == []
    assert verdict.rows()[0].unknown == 1


def test_a_pause_after_a_fault_is_measured_and_must_not_be_long() -> None:
    """From the fault until the next delivery."""
    verdict = _verdict(_evidence(*(one for one in _steady() if not 10 <= one < 16)), KILL)
    row: Row = verdict.rows()[1]
    assert row.outage_s == pytest.approx(6.1)
    assert any(problem.startswith("outage: 6.1 s after killed") for problem in verdict.problems())
