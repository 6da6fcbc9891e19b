"""The arithmetic of ``make bench``, and that its documentation lists what it measures."""

import pytest
from support.documentation import page, table

from benchmarks.backlog import Backlog
from benchmarks.cases import CASES
from benchmarks.table import Reach, Row, markdown

SLOWER = Row("A", "work", "messages/s", [50, 1, 40, 90, 1000], "a peer", [20, 100, 25, 3, 80], Reach(2))


def test_a_ratio_is_that_of_the_medians() -> None:
    """One slow or one lucky run does not count."""
    assert SLOWER.ratio == 50 / 25


@pytest.mark.parametrize(
    ("reach", "ratio", "holds"),
    [
        (Reach(2), 2.0, True),
        (Reach(2), 1.99, False),
        (Reach(None, 0.8), 0.8, True),
        (Reach(None, 0.8), 0.81, False),
        (Reach(0.9, 1.1), 1.2, False),
    ],
)
def test_a_reach_is_a_bound_on_the_ratio(reach: Reach, ratio: float, *, holds: bool) -> None:
    """At least, at most, or both."""
    assert reach.holds(ratio) is holds


def test_the_table_shows_the_medians_and_whether_the_reach_is_reached() -> None:
    """A line a comparison."""
    *_, line = markdown([SLOWER]).splitlines()
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == ["A", "work", "50 messages/s", "a peer: 25", "2", "≥ 2", "yes"]


def test_a_backlog_has_full_batches_of_each_room() -> None:
    """Ten messages of a room in a row, the same number in each room."""
    rooms = [room for room, _ in Backlog(60, 3)]
    assert rooms[:10] == ["room-0"] * 10
    assert {rooms.count(room) for room in rooms} == {20}
    assert [room for room, _ in Backlog(3, 3)] == ["room-0", "room-1", "room-2"]


def test_every_case_is_documented() -> None:
    """Who reads the figures knows what was measured."""
    assert {case: row[0] for case, row in table("case", page("performance")).items()} == {
        case: facts.title for case, facts in CASES.items()
    }
