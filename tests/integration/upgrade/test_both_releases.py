"""The workers of both releases on one channel, as during a rolling upgrade."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.holds import DEAD_LETTER, HOLD_MS, assert_at_rest, drained
from support.queue import settle

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from redis import Redis
    from support.previous_release import OldQueue
    from support.queue import Queue

pytestmark = pytest.mark.single_server("the previous release knows no cluster")

MINUTE_MS = 60_000
UNREADABLE = "its head is in a layout that this version of the workers does not know"


def _records(queue: Queue) -> dict[str, bytes]:
    return {name: queue.record(name) for name in queue.messages}


@pytest.mark.parametrize(
    ("outcome", "dead", "left"),
    [(Outcome.DELIVERED, "", "a3 a4"), (Outcome.FAILED, "00", "a1 a2 a3 a4"), (Outcome.REJECTED, "01", "a1 a3 a4")],
)
def test_the_new_release_does_not_touch_what_an_old_worker_is_pushing(
    redis: Redis, queue: Queue, old: OldQueue, outcome: Outcome, dead: str, left: str
) -> None:
    """However it looks at it, so that the old worker can settle it."""
    old.enqueue("a", "a1", "a2")
    (claim,) = old.turn().claims
    old.enqueue("a", "a3")
    queue.enqueue("a", "a4")
    before = _records(queue)
    assert queue.status("a1") is not None
    assert [queue.cancel(name) for name in ("a1", "a2")] == ["in_flight"] * 2
    assert queue.enqueue_again("a1", "a2")[0].duplicate
    assert (queue.replay("a1"), queue.purge("a2"), queue.skip("a")) == ([0, 0, 0], 0, ["not_blocked"])
    queue.sweep_for(10_000)
    assert queue.turn().claims == ()
    assert (_records(queue), redis.exists(f"{queue.prefix}details")) == (before, 0)
    assert old.turn(settle(claim, outcome, dead=dead, reason="r"), free=-1).settled == (1,)
    assert (queue.waiting("a"), drained(queue)) == (left, left.split())
    assert_at_rest(queue)


def test_the_lease_that_an_old_worker_lost_ends(queue: Queue, old: OldQueue) -> None:
    """A new dispatcher charges it to the messages, the settlement that comes too late is stale, and they go out."""
    old.enqueue("a", "a1", "a2")
    (claim,) = old.turn().claims
    (lost,) = queue.sweep_for(40_000).expired
    assert [(one.attempts, one.age_s) for one in lost.history()] == [(0, 40)] * 2
    queue.expire([lost], dead="00")
    assert old.turn(settle(claim), free=-1).settled == (0,)
    assert [(queue.header(name).attempts, queue.header(name).losses) for name in ("a1", "a2")] == [(1, 1)] * 2
    assert drained(queue) == ["a1", "a2"]
    assert_at_rest(queue)


def test_an_old_worker_sets_a_new_message_aside(queue: Queue, old: OldQueue) -> None:
    """It changes nothing of it, and after a minute the new release delivers it."""
    queue.enqueue("a", "a1", expires=str(10 * MINUTE_MS))
    before = queue.found("a1")
    assert old.turn().claims == ()
    assert (queue.places("a"), queue.waiting("a"), queue.found("a1")) == ([], "a1", before)
    assert queue.blocked() == {"a": (queue.now, UNREADABLE)}
    queue.sweep_for(MINUTE_MS - 1000)
    assert queue.turn().claims == ()
    queue.sweep_for(1000)
    assert drained(queue) == ["a1"]
    assert_at_rest(queue)


@pytest.mark.parametrize("changed", [False, True])
def test_an_old_worker_pushes_what_is_in_front_of_a_new_record(queue: Queue, old: OldQueue, *, changed: bool) -> None:
    """That of a new message, or of an old one that this release has changed; new workers push the rest, in order."""
    old.enqueue("a", "a1")
    if changed:
        old.enqueue("a", "a2", hold=DEAD_LETTER)
        queue.decide("k", "a")
    else:
        queue.enqueue("a", "a2")
    old.enqueue("a", "a3")
    turn = old.turn()
    assert turn.batches == ["a1"]
    assert old.turn(*map(settle, turn.claims)).claims == ()
    assert (queue.waiting("a"), queue.header("a1").state) == ("a2 a3", "delivered")
    queue.sweep_for(MINUTE_MS)
    assert drained(queue) == ["a2", "a3"]
    assert_at_rest(queue)


def test_an_old_producer_does_not_know_the_key_of_what_a_new_worker_retries(queue: Queue, old: OldQueue) -> None:
    """It gets a conflict, and enqueues nothing; once the message is delivered, it knows the key again."""
    old.enqueue("a", "a1")
    queue.turn(*(settle(claim, Outcome.FAILED, wait_ms=5000, dead="0") for claim in queue.turn().claims))
    with pytest.raises(AssertionError, match="enqueue answered 3"):
        old.enqueue_again("a1")
    queue.sweep_for(5000)
    assert drained(queue) == ["a1"]
    assert old.enqueue_again("a1")[0].duplicate
    assert_at_rest(queue)


@pytest.mark.parametrize("options", [{"due": "+5000"}, {"hold": f"r{HOLD_MS}:k"}])
def test_an_old_worker_leaves_a_new_message_that_is_due_to_a_new_one(
    queue: Queue, old: OldQueue, options: dict[str, str]
) -> None:
    """A scheduled or a held one: it is delivered when a new worker comes by."""
    queue.enqueue("a", "a1", **options)
    queue.now += HOLD_MS
    assert old.turn().claims == ()
    queue.sweep_for(2 * MINUTE_MS)
    assert drained(queue) == ["a1"]
    assert_at_rest(queue)


def test_an_old_decision_on_a_new_held_message_counts_at_its_timeout(queue: Queue, old: OldQueue) -> None:
    """The old script cannot reach it, but has stored the decision."""
    queue.enqueue("a", "h", hold=DEAD_LETTER)
    assert old.decide("k", "a") == ("a", 0, 0)
    assert drained(queue) == []
    queue.sweep_for(HOLD_MS)
    assert drained(queue) == ["h"]
    assert_at_rest(queue)
