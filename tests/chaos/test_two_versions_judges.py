"""The judges of an upgrade that differ from a storm's, on small evidence made by hand."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from chaos.storm.evidence import Arrival, Asked, Evidence, Record, Struck, Unknown
from chaos.versions.judge import judge

START = 1000.0


def _asked(number: int) -> Asked:
    return Asked(
        f"a{number}", "support", "r1", f"old r1 {number}", "flow-old", START + number, receipts=[(number, False)]
    )


def _record(number: int) -> Record:
    # fmt: off
    return Record("support", "r1", "delivered", None, "", maybe_delivered=False, attempts=1, sequence=number,
                  accepted=START + number, joined=START + number, final=START + 100)
    # fmt: on


def _arrived(*numbers: int) -> list[Arrival]:
    """These messages in this order, a push each."""
    return [Arrival("support", "r1", f"old r1 {number}", START + 10 + at) for at, number in enumerate(numbers)]


COUNTED = {"depth": 0, "accepted": 2, "delivered": 2, "cancelled": 0, "dead": 0, "listed_dead": 0, "pushes_unknown": 0}
LISTED = Unknown("support", START + 12, ["a1"], lost=True)
THRICE = {"a1": replace(_record(1), attempts=3), "a2": _record(2)}
TWICE = {"a1": replace(_record(1), attempts=2), "a2": _record(2)}
CONFLICT = "old: IdempotencyConflict: idempotency key 'k-old-1' already belongs to another message ({})"
SCHEDULED = {"a1": replace(_asked(1), due=START + 9), "a2": _asked(2)}


def _upgrade(*arrivals: int, unknown: int = 0, listed: Sequence[Unknown] = (), **facts: object) -> Evidence:
    """Two messages that arrived like this; so many pushes of unknown outcome are counted, and these are listed."""
    evidence = Evidence(
        messages={"a1": _asked(1), "a2": _asked(2)},
        records={"a1": _record(1), "a2": _record(2)},
        arrivals=_arrived(*arrivals),
        unknown=listed,
        struck=[Struck(START, "kill_worker", "old0", begins=True)],
        counters={"support": COUNTED | {"pushes_unknown": unknown}},
    )
    return replace(evidence, **facts)  # type: ignore[arg-type] # each by its name


@pytest.mark.parametrize(
    ("found", "evidence"),
    [
        (set(), _upgrade(1, 2)),
        ({"order"}, _upgrade(2, 1)),
        (set(), _upgrade(2, 1, messages=SCHEDULED)),
        ({"lost"}, _upgrade(2)),
        ({"duplicates"}, _upgrade(1, 1, 2, records=TWICE)),
        ({"attempts"}, _upgrade(1, 1, 2, unknown=1)),
        (set(), _upgrade(1, 1, 2, unknown=1, records=TWICE)),
        ({"duplicates"}, _upgrade(1, 2, 1, 2, unknown=1, records={"a1": TWICE["a1"], "a2": TWICE["a1"]})),
        (set(), _upgrade(1, 1, 2, unknown=1, records=TWICE, listed=[LISTED])),
        ({"duplicates"}, _upgrade(1, 1, 1, 2, unknown=1, records=THRICE, listed=[LISTED])),
        (set(), _upgrade(1, 2, refusals=[CONFLICT.format("a1")])),
        ({"receipts"}, _upgrade(1, 2, refusals=[CONFLICT.format("a3")])),
        ({"receipts"}, _upgrade(1, 2, refusals=["new" + CONFLICT.format("a1")])),
        ({"counters"}, _upgrade(1, 2, counters={"support": COUNTED | {"accepted": 3}})),
    ],
)
def test_the_judges_of_an_upgrade_find_what_they_are_for(found: set[str], evidence: Evidence) -> None:
    """Copies are explained by listed pushes, and as many pushes as were counted and not listed."""
    assert judge(evidence).keys() == found
