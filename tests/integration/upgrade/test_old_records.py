"""Messages that the previous release enqueued: this one pushes them as if they were its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.holds import DEAD_LETTER, HOLD_MS, RELEASE, assert_at_rest, drained, end_of
from support.queue import settle

from pushlane.message_record import attempts_of, read_body, read_content
from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from support.previous_release import OldQueue
    from support.queue import Queue

pytestmark = pytest.mark.single_server("the previous release knows no cluster")

RETRY_MS = 5000
HOUR_MS = 3_600_000
ADDRESS = b'["alice",null]'
ODD = "1q\0 2q-\n\N{SNOWMAN}".encode()
"""A body that begins as a record does."""


def test_old_messages_are_pushed_together_with_the_new_ones_behind_them(queue: Queue, old: OldQueue) -> None:
    """One batch, in order, and every byte as it was sent."""
    old.enqueue("a\N{SNOWMAN}" * 64, "a1", address=ADDRESS)
    old.enqueue("a\N{SNOWMAN}" * 64, "a2", address=ADDRESS, body=b"")
    old.enqueue("a\N{SNOWMAN}" * 64, "a3", address=ADDRESS, body=ODD * 5000)
    queue.enqueue("a\N{SNOWMAN}" * 64, "a4", address=ADDRESS, body=ODD)
    (claim,) = queue.turn().claims
    assert claim.message_ids == [b"a1", b"a2", b"a3", b"a4"]
    assert [read_content(record) for record in claim.records] == list(queue.messages.values())
    assert [(one.attempts, one.age_s) for one in claim.history()] == [(0, 0)] * 4
    queue.turn(settle(claim), free=-1)
    assert {queue.header(name).state for name in queue.messages} == {"delivered"}
    queue.assert_counters()


def test_an_old_message_for_somebody_else_is_pushed_on_its_own(queue: Queue, old: OldQueue) -> None:
    """Before and behind new ones."""
    old.enqueue("a", "a1", address=ADDRESS)
    queue.enqueue("a", "a2")
    old.enqueue("a", "a3", address=ADDRESS)
    assert [queue.turn(*map(settle, queue.turn().claims), free=-1).settled for _ in range(3)] == [(1,)] * 3
    assert drained(queue) == []


def test_its_idempotency_key_is_known_until_and_after_its_delivery(queue: Queue, old: OldQueue) -> None:
    """To the producers of both releases, with the number that it got."""
    queue.enqueue("a", "before")
    (accepted,) = old.enqueue("a", "a1")
    for state in ("queued", "delivered"):
        for producer in (queue, old):
            (again,) = producer.enqueue_again("a1")
            assert (again.sequence, again.state, again.duplicate) == (accepted.sequence, state, True)
        drained(queue)
    assert queue.counters()["accepted"] == 2


def test_what_the_old_worker_spent_counts(queue: Queue, old: OldQueue) -> None:
    """Its attempts, losses and doubts are taken over, and the next failure is added to them."""
    old.enqueue("a", "a1", "a2")
    old.turn(settle(old.turn().claims[0], Outcome.UNKNOWN, dead="00", lost=True), free=-1)
    queue.now += HOUR_MS
    (claim,) = queue.turn().claims
    assert (claim.attempt(), [(one.attempts, one.age_s) for one in claim.history()]) == (2, [(1, 3600)] * 2)
    before = queue.header("a1")
    assert (before.maybe_delivered, before.losses, before.pushed_ms) == (True, 1, queue.now - HOUR_MS)
    queue.turn(settle(claim, Outcome.FAILED, wait_ms=RETRY_MS, dead="00"), free=-1)
    after = queue.header("a1")
    assert (after.attempts, after.losses, after.maybe_delivered, after.pushed_ms) == (2, 0, True, queue.now)
    assert (after.sequence, after.accepted_ms, after.joined_ms) == (1, before.accepted_ms, before.joined_ms)
    queue.now += RETRY_MS
    (claim,) = queue.turn().claims
    assert list(map(attempts_of, claim.details)) == [2, 2]
    assert [read_content(record) for record in claim.records] == list(queue.messages.values())


def test_a_batch_that_both_releases_lost_goes_message_by_message(queue: Queue, old: OldQueue) -> None:
    """It may be what kills workers."""
    old.enqueue("a", "a1", "a2")
    old.turn(settle(old.turn().claims[0], Outcome.UNKNOWN, dead="00", lost=True), free=-1)
    (claim,) = queue.turn().claims
    assert queue.turn(settle(claim, Outcome.UNKNOWN, dead="00", lost=True)).batches == ["a1"]


def test_a_rejected_batch_is_halved_by_either_release(queue: Queue, old: OldQueue) -> None:
    """The halves of the old release stay apart, and are halved again."""
    old.enqueue("a", "a1", "a2", "a3", "a4")
    old.turn(settle(old.turn().claims[0], Outcome.REJECTED, split=2), free=-1)
    queue.enqueue("a", "a5")
    (claim,) = queue.turn().claims
    assert claim.message_ids == [b"a1", b"a2"]
    turn = queue.turn(settle(claim, Outcome.REJECTED, split=1))
    pushed = [turn.batches, *((turn := queue.turn(*map(settle, turn.claims))).batches for _ in range(3))]
    assert pushed == [["a1"], ["a2"], ["a3 a4"], ["a5"]]


@pytest.mark.parametrize("sweeps", [False, True])
def test_an_old_scheduled_message_joins_when_it_is_due(queue: Queue, old: OldQueue, *, sweeps: bool) -> None:
    """And not before, by a turn or a sweep; its age counts from then."""
    old.enqueue("a", "a1", due="+5000", body=ODD)
    queue.now += 4999
    assert (queue.turn().claims, queue.header("a1").state) == ((), "scheduled")
    queue.now += 1
    if sweeps:
        queue.sweep()
        assert queue.waiting("a") == "a1"
    (claim,) = queue.turn().claims
    header = queue.header("a1")
    assert (header.state, header.joined_ms, header.due_ms) == ("queued", queue.now, queue.now)
    assert read_body(claim.records[0]) == ODD
    assert queue.turn(settle(claim), free=-1).settled == (1,)
    assert_at_rest(queue)


@pytest.mark.parametrize("options", [{"expires": "1000"}, {"expires": "1000", "due": "+5000"}])
def test_an_old_message_dies_when_it_expires(queue: Queue, old: OldQueue, options: dict[str, str]) -> None:
    """Whether it had joined its conversation or not."""
    old.enqueue("a", "a1", **options)
    queue.now += 1000
    assert drained(queue) == []
    assert (end_of(queue, "a1"), queue.header("a1").final_ms) == (("dead", "expired"), queue.now)
    assert_at_rest(queue)


@pytest.mark.parametrize("release", ["old", "new"])
@pytest.mark.parametrize(
    ("decision", "body"), [("a", ODD), ("wshorter", b"shorter"), ("w" + "longer" * 99, b"longer" * 99), ("fno", None)]
)
def test_a_decision_reaches_an_old_held_message(
    queue: Queue, old: OldQueue, releases: dict[str, Queue | OldQueue], release: str, decision: str, body: bytes | None
) -> None:
    """Whichever release decides."""
    old.enqueue("a", "h", hold=DEAD_LETTER, address=ADDRESS, body=ODD)
    queue.enqueue("a", "a1")
    assert (queue.turn().claims, queue.places("a")) == ((), ["held"])
    queue.now += 10
    assert releases[release].decide("k", decision) == (decision, 1, 0)
    if body is None:
        assert (end_of(queue, "h"), queue.detail("h")) == (("dead", "forbidden"), "no")
    else:
        (claim,) = queue.turn().claims
        assert (claim.message_ids, read_content(claim.records[0])) == ([b"h"], ("a", ADDRESS, body))
        assert (queue.header("h").joined_ms, queue.header("h").due_ms) == (queue.now, 0)
        queue.turn(settle(claim), free=-1)
    assert drained(queue) == ["a1"]
    assert_at_rest(queue)


@pytest.mark.parametrize(("hold", "pushed"), [(RELEASE, ["h", "a1"]), (DEAD_LETTER, ["a1"])])
def test_an_old_hold_times_out(queue: Queue, old: OldQueue, hold: str, pushed: list[str]) -> None:
    """As its sender chose; nothing waits for its key any more."""
    old.enqueue("a", "h", hold=hold)
    queue.enqueue("a", "a1", address=ADDRESS)
    queue.sweep_for(HOLD_MS - 1000)
    assert drained(queue) == []
    queue.sweep_for(1000)
    assert drained(queue) == pushed
    assert queue.redis.exists(f"{queue.prefix}hold:k") == 0
    assert end_of(queue, "h") == (("delivered", None) if hold == RELEASE else ("dead", "expired"))
    assert_at_rest(queue)
