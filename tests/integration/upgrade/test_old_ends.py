"""What becomes of the previous release's messages at their end: dead letters, and what is left of finished ones."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest
from support.holds import drained, end_of
from support.previous_release import RECORDS, OldQueue
from support.queue import Queue, settle

from pushlane.message_record import conversation_of, read_content, text_of
from pushlane.operators.dead_letters import DeadLetters
from pushlane.operators.messages import Payload, read_messages
from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

pytestmark = pytest.mark.single_server("the previous release knows no cluster")

HOUR_MS = 3_600_000
ADDRESS = b'["alice",null]'
BODY = "1q\0\n\N{SNOWMAN}".encode()


def _queued(old: OldQueue) -> None:
    old.enqueue("a", "m", address=ADDRESS, body=BODY, expires=str(24 * HOUR_MS))


def _doubtful(old: OldQueue) -> None:
    _queued(old)
    old.turn(settle(old.turn().claims[0], Outcome.UNKNOWN, dead="0", lost=True), free=-1)


def _scheduled(old: OldQueue) -> None:
    old.enqueue("a", "m", address=ADDRESS, body=BODY, due=f"+{2 * HOUR_MS}")


def _held(old: OldQueue) -> None:
    old.enqueue("a", "m", address=ADDRESS, body=BODY, hold=f"d{2 * HOUR_MS}:k")


def _dead(old: OldQueue) -> None:
    _queued(old)
    push = settle(old.turn().claims[0], Outcome.REJECTED, dead="1", reason="r", detail="bad \N{SNOWMAN}")
    old.turn(push, free=-1)


def _replayed(old: OldQueue) -> None:
    _dead(old)
    old.replay("m")


def _deliver(release: Queue | OldQueue) -> None:
    release.turn(*map(settle, release.turn().claims), free=-1)


def _cancel(release: Queue | OldQueue) -> None:
    assert release.cancel("m") in {"cancelled", "maybe_delivered"}


def _purge(release: Queue | OldQueue) -> None:
    assert release.purge("m") == 1


_ENDS = [
    (_queued, _deliver),
    (_queued, _cancel),
    (_doubtful, _deliver),
    (_doubtful, _cancel),
    (_scheduled, _cancel),
    (_held, _cancel),
    (_replayed, _deliver),
    (_dead, _purge),
]


def _tombstone(queue: Queue) -> tuple[bytes, int]:
    """It, and for how many seconds it is kept."""
    return queue.record("m"), round(queue.redis.pttl(f"{queue.prefix}message:m") / 10_000)


def _same(queue: Queue, old: OldQueue) -> bool:
    """Whether both releases tell the same status of the message."""
    return asdict(queue.header("m")) == asdict(RECORDS.read_header(old.status("m")))


@pytest.mark.parametrize("before", [_queued, _doubtful, _scheduled, _held, _dead, _replayed])
def test_an_old_message_is_read_as_the_old_release_reads_it(
    queue: Queue, old: OldQueue, before: Callable[[OldQueue], None]
) -> None:
    """Every field, and its content."""
    before(old)
    ((record, details),) = read_messages(queue.redis, queue.prefix, ["m"], whole=True)
    assert _same(queue, old)
    assert (*read_content(record), text_of(details)) == RECORDS.read_content(old.status("m"))


@pytest.mark.parametrize(("before", "end"), _ENDS)
def test_the_status_of_what_ended_under_the_old_release(
    queue: Queue, old: OldQueue, before: Callable[[OldQueue], None], end: Callable[[Queue | OldQueue], None]
) -> None:
    """It is what that release says, a cancellation comes too late, and its key is taken."""
    before(old)
    queue.now += HOUR_MS
    end(old)
    assert _same(queue, old)
    assert conversation_of(queue.found("m")[0]) == "a"
    assert queue.cancel("m") == "already_final"
    assert queue.enqueue_again("m")[0].duplicate


@pytest.mark.parametrize(("before", "end"), _ENDS)
@pytest.mark.parametrize("retention_ms", [HOUR_MS, 100 * HOUR_MS])
def test_an_old_message_leaves_the_tombstone_that_it_would_have_left(
    redis: Redis, before: Callable[[OldQueue], None], end: Callable[[Queue | OldQueue], None], retention_ms: int
) -> None:
    """The same bytes for the same time, so that old producers find its idempotency key; and nothing else."""
    queue, other = (
        Queue(redis, name, retention_ms=retention_ms, idempotency_ms=48 * HOUR_MS) for name in ("support", "other")
    )
    old, other_old = OldQueue(queue), OldQueue(other)
    for release in (old, other_old):
        before(release)
        release.queue.now += HOUR_MS
    end(queue)
    end(other_old)
    assert _tombstone(queue) == _tombstone(other)
    assert _same(queue, old)
    assert [release.enqueue_again("m")[0].duplicate for release in (queue, old)] == [True, True]
    assert drained(queue) == []
    assert redis.exists(f"{queue.prefix}details", f"{queue.prefix}hold:k") == 0
    assert redis.keys(f"{queue.prefix}tombstones:*") == []


def test_an_old_message_that_fails_for_good_is_a_dead_letter(queue: Queue, old: OldQueue) -> None:
    """Listed, read with its payload, replayed with its whole budget, and delivered."""
    letters = DeadLetters(queue.redis, queue.channel)
    _doubtful(old)
    (claim,) = queue.turn().claims
    queue.turn(settle(claim, Outcome.FAILED, dead="1", reason="a", detail="no route"), free=-1)
    (letter,) = letters.latest(10)
    assert (letter.message_id, letter.reason, letter.detail) == ("m", "exhausted", "no route")
    assert (letter.conversation, letter.attempts, letter.maybe_delivered, letter.sequence) == ("a", 2, True, 1)
    assert letters.payload("m") == (letter, Payload("cinnox", "a", ADDRESS, BODY))
    assert queue.replay("m") == [1, 0, 0]
    header = queue.header("m")
    assert (header.state, header.reason, header.attempts, header.losses) == ("queued", None, 0, 0)
    assert drained(queue) == ["m"]
    assert (end_of(queue, "m"), queue.counters()["depth"]) == (("delivered", None), 0)


def test_a_dead_letter_of_the_old_release_is_one(queue: Queue, old: OldQueue) -> None:
    """Listed, read with its payload, replayed past its expiry, and delivered."""
    letters = DeadLetters(queue.redis, queue.channel)
    _dead(old)
    (letter,) = letters.latest(10)
    assert (letter.conversation, letter.reason, letter.detail) == ("a", "rejected", "bad \N{SNOWMAN}")
    assert letters.payload("m") == (letter, Payload("cinnox", "a", ADDRESS, BODY))
    queue.now += 48 * HOUR_MS
    assert queue.replay("m") == [1, 0, 0]
    (claim,) = queue.turn().claims
    assert (claim.attempt(), read_content(claim.records[0])) == (1, ("a", ADDRESS, BODY))
    queue.turn(settle(claim), free=-1)
    assert (end_of(queue, "m"), queue.counters()["depth"]) == (("delivered", None), 0)
