"""Poison isolation, counted over all cases."""

from itertools import combinations

import pytest

from pushlane_worker.queue.retry import left_part

BATCH = 10


def _requests(offenders: frozenset[int]) -> int:
    """Pushes until each offender has stood alone and all others are delivered."""
    parts, requests = [list(range(BATCH))], 0
    while parts:
        part = parts.pop(0)
        requests += 1
        if len(part) > 1 and offenders.intersection(part):
            parts = [part[: left_part(len(part))], part[left_part(len(part)) :], *parts]
    return requests


@pytest.mark.parametrize(("offenders", "most"), [(1, 9), (2, 15), (3, 17)])
def test_offenders_cost_a_bounded_number_of_requests(offenders: int, most: int) -> None:
    """At most 9 requests for one offender in ten, 15 for two, 17 for three, wherever they stand."""
    assert max(_requests(frozenset(places)) for places in combinations(range(BATCH), offenders)) == most


@pytest.mark.parametrize("size", range(2, BATCH + 1))
def test_both_parts_hold_something(size: int) -> None:
    """Otherwise a batch would be split for ever."""
    assert 0 < left_part(size) < size
