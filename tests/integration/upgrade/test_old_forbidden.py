"""Held messages of the previous release that were forbidden in the middle of a room: dead, and still in its list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.holds import DEAD_LETTER, drained

if TYPE_CHECKING:
    from support.previous_release import OldQueue
    from support.queue import Queue

pytestmark = pytest.mark.single_server("the previous release knows no cluster")


def _forbid_in_the_middle(old: OldQueue, decider: Queue | OldQueue) -> None:
    """`m` is dead, and still listed between `a1` and `a2`."""
    old.enqueue("a", "a1")
    old.enqueue("a", "m", hold=DEAD_LETTER)
    old.enqueue("a", "a2", address=b"other")
    decider.decide("k", "fno")
    assert old.queue.waiting("a") == "a1 m a2"


@pytest.mark.parametrize("passed", [False, True])
def test_what_the_old_release_forbade_in_the_middle_of_a_room_is_replayed_once(
    queue: Queue, old: OldQueue, *, passed: bool
) -> None:
    """Whether it is still in its list, or a turn has passed it."""
    _forbid_in_the_middle(old, old)
    if passed:
        queue.turn()
        assert queue.waiting("a") == "a1 a2"
    assert queue.replay("m") == [1, 0, 0]
    assert queue.waiting("a") == "a1 a2 m"


@pytest.mark.parametrize(("decider", "purger"), [("old", "old"), ("old", "new"), ("new", "new")])
def test_what_was_forbidden_in_the_middle_of_a_room_and_purged_is_forgotten_in_time(
    queue: Queue, releases: dict[str, Queue | OldQueue], old: OldQueue, decider: str, purger: str
) -> None:
    """The turn that drops it from the list leaves its tombstone's expiry as it is."""
    _forbid_in_the_middle(old, releases[decider])
    assert releases[purger].purge("m") == 1
    before = queue.header("m")
    assert drained(queue) == ["a1", "a2"]
    assert queue.header("m") == before
    assert queue.redis.pttl(f"{queue.prefix}message:m") > 0
    assert queue.redis.exists(f"{queue.prefix}details") == 0
