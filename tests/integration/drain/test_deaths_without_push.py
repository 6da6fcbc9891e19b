"""Messages that die without a push, in whatever script: a sweep tells each of them once, for the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.holds import held_room
from support.queue import Queue, settle

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from redis import Redis

LIFE_MS = 1000
AT_ONCE = 100


def _short(queue: Queue, conversation: str, *names: str) -> None:
    queue.enqueue(conversation, *names, expires=str(LIFE_MS))


def _told(queue: Queue) -> list[tuple[bytes, bytes]]:
    """What the sweep of the next second tells."""
    queue.now += 1000
    return list(queue.sweep().died)


def test_what_a_claim_or_a_sweep_or_a_decision_kills_is_told_once(redis: Redis) -> None:
    """With its reason, by the next sweep after it."""
    queue = held_room(redis)
    queue.sweep()
    _short(queue, "b", "b1")
    queue.enqueue("c", "c1", due=str(queue.now + LIFE_MS), expires=str(LIFE_MS))
    queue.now += LIFE_MS
    queue.sweep()
    queue.turn(free=5)
    queue.decide("k", "fspam")
    assert sorted(_told(queue)) == [(b"b1", b"e"), (b"c1", b"e"), (b"h", b"f")]
    assert _told(queue) == []


def test_what_a_push_killed_or_an_operator_is_not_told(redis: Redis) -> None:
    """The drain has logged the one, and the audit has the other."""
    queue = Queue(redis)
    queue.sweep()
    queue.enqueue("a", "a1")
    queue.enqueue("b", "b1")
    first, second = queue.turn().claims
    failed = settle(second, Outcome.FAILED, dead="0", wait_ms=60_000)
    queue.turn(settle(first, Outcome.REJECTED, dead="1", reason="r"), failed)
    assert queue.skip("b") == ["skipped", "b1"]
    assert _told(queue) == []
    assert [queue.header(name).state for name in ("a1", "b1")] == ["dead", "dead"]


def test_what_dies_in_the_ms_of_a_sweep_is_told_by_the_next_one(redis: Redis) -> None:
    """Before or after the sweep in that ms; none is told twice, and none is left out."""
    queue = Queue(redis)
    _short(queue, "a", "a1")
    _short(queue, "b", "b1")
    queue.now += LIFE_MS
    queue.turn(free=1)
    assert queue.sweep().died == ()
    queue.turn(free=1)
    assert sorted(_told(queue)) == [(b"a1", b"e"), (b"b1", b"e")]
    assert _told(queue) == []


def test_a_sweep_tells_a_hundred_and_counts_the_rest(redis: Redis) -> None:
    """Millions may expire in a second."""
    queue = Queue(redis)
    queue.sweep()
    _short(queue, "a", *(f"a{n}" for n in range(AT_ONCE + 20)))
    queue.now += LIFE_MS
    queue.turn()
    queue.now += 1000
    swept = queue.sweep()
    assert (len(swept.died), swept.unread) == (AT_ONCE, 20)


def test_a_purged_letter_and_one_that_is_queued_again_are_not_told(redis: Redis) -> None:
    """Somebody has seen them already."""
    queue = Queue(redis)
    queue.sweep()
    _short(queue, "a", "a1", "a2")
    queue.now += LIFE_MS
    queue.turn()
    queue.purge("a1")
    queue.replay("a2")
    assert _told(queue) == []
