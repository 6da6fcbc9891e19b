"""What an overview says of a channel, and what it counts, through the scripts of a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis
from support.queue import EPOCH_MS, Queue, settle, unsent

from pushlane.errors import NewerChannel, QueueUnavailable
from pushlane.keys import CONSUMERS, WORKERS
from pushlane.message_record import from_ms
from pushlane.operators.inspection import Inspector
from pushlane.operators.overview import Overview
from pushlane.operators.states import AT_ONCE
from pushlane.outcome import Outcome
from pushlane.scripts import Script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

MINUTE_MS = 60_000


@pytest.fixture
def queue(redis: Redis) -> Queue:
    """The channel ``support``."""
    return Queue(redis)


@pytest.fixture
def inspector(redis_url: str) -> Iterator[Inspector]:
    """Of the test's server."""
    with Inspector(redis_url) as made:
        yield made


def overview(inspector: Inspector) -> Overview:
    """That of the channel."""
    found = inspector.overview("support")
    assert found is not None
    return found


def test_the_oldest_that_may_be_pushed_is_the_head_that_waits_longest(queue: Queue, inspector: Inspector) -> None:
    """Since it was accepted; a scheduled message counts from when it joins."""
    assert overview(inspector).oldest_ready_at is None
    queue.enqueue("b", "scheduled", due=f"{EPOCH_MS + 5000}")
    queue.now += 1000
    queue.enqueue("a", "a1")
    assert overview(inspector).oldest_ready_at == from_ms(EPOCH_MS + 1000)
    queue.now += 6000
    (taken,) = queue.turn(free=1).claims
    assert overview(inspector).oldest_ready_at == from_ms(EPOCH_MS + 7000)
    queue.turn(settle(taken))


def test_a_blocked_conversation_shows_since_when(queue: Queue, inspector: Inspector) -> None:
    """Until it moves again."""
    queue.enqueue("a", "a1")
    (taken,) = queue.turn().claims
    queue.turn(settle(taken, Outcome.FAILED, wait_ms=1000, dead="0"))
    assert overview(inspector).oldest_blocked_at == from_ms(EPOCH_MS)
    queue.now += 1000
    (taken,) = queue.turn().claims
    queue.turn(settle(taken))
    assert overview(inspector).oldest_blocked_at is None


def test_pushes_are_measured_once_their_end_is_known(queue: Queue, inspector: Inspector) -> None:
    """Size and duration, cumulated; nothing of a batch that was given back, or whose worker was lost."""
    pushes = ((10, 1), (11, 3), (25, 3), (60_000, 10))
    for took_ms, size in pushes:
        queue.enqueue(f"c{took_ms}", *(f"m{took_ms}-{number}" for number in range(size)))
    claims = queue.turn().claims
    first, *others = (settle(claim, took_ms=took_ms) for claim, (took_ms, _) in zip(claims, pushes, strict=True))
    queue.turn(first)
    queue.turn(*others)
    queue.enqueue("a", "last")
    (taken,) = queue.turn().claims
    (taken,) = queue.turn(unsent(taken)).claims
    queue.turn(settle(taken, Outcome.UNKNOWN, lost=True, dead="0"))
    found = overview(inspector)
    assert found.push_seconds.count == found.push_messages.count == 4
    assert (found.push_seconds.sum, found.push_messages.sum) == (60.046, 17)
    within = {0.01: 1} | dict.fromkeys((0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0), 3)
    assert found.push_seconds.buckets == within
    assert found.push_messages.buckets == {1: 1, 2: 1, 5: 3, 10: 4}


@pytest.mark.parametrize(
    ("code", "reason"), [("r", "rejected"), ("a", "exhausted"), ("u", "unknown")], ids=["rejected", "spent", "unknown"]
)
def test_deaths_are_counted_by_reason(queue: Queue, inspector: Inspector, code: str, reason: str) -> None:
    """As many as died, also once their dead letters are gone."""
    queue.enqueue("a", "a1", "a2")
    (taken,) = queue.turn().claims
    queue.turn(settle(taken, Outcome.FAILED, dead="11", reason=code))
    queue.purge("a1")
    found = overview(inspector)
    assert (found.dead_letters, found.dead_lettered[reason], sum(found.dead_lettered.values())) == (1, 2, 2)


def test_what_expires_or_is_forbidden_or_skipped_counts_too(queue: Queue, inspector: Inspector) -> None:
    """Wherever a message dies."""
    queue.enqueue("a", "late", expires="1000")
    queue.now += 1000
    queue.turn()
    queue.enqueue("b", "held", hold="d60000:key")
    queue.decide("key", "f")
    queue.enqueue("c", "stuck")
    (taken,) = queue.turn().claims
    queue.turn(settle(taken, Outcome.FAILED, wait_ms=60_000, dead="0"))
    queue.skip("c")
    counted = {reason: count for reason, count in overview(inspector).dead_lettered.items() if count}
    assert counted == {"expired": 1, "forbidden": 1, "exhausted": 1}


def test_the_throughput_is_that_of_each_of_the_last_60_minutes(queue: Queue, inspector: Inspector) -> None:
    """Oldest first, over the end of an hour; what is older has gone by itself."""
    start = queue.now
    for minute in (0, 1, 59, 60, 61):
        queue.now = start + minute * MINUTE_MS
        queue.enqueue("a", *(f"m{minute}-{number}" for number in range(minute % 7 + 1)))
        (taken,) = queue.turn().claims
        queue.turn(settle(taken))
    counts = Script("throughput").call(queue.redis, queue.prefix, queue.now)
    assert counts == [0] * 57 + [4, 5, 6]
    assert Script("throughput").call(queue.redis, queue.prefix, start + 60 * MINUTE_MS)[:2] == [2, 0]
    assert inspector.throughput(["support", "nosuch"]) == dict.fromkeys(("support", "nosuch"), (0,) * 60)


def test_many_channels_are_read_together(queue: Queue, inspector: Inspector) -> None:
    """Those that are registered, whatever became of the others; also by a server that has forgotten the script."""
    names = [f"c{number}" for number in range(AT_ONCE + 1)]
    for name in names[:3]:
        Queue(queue.redis, name).enqueue("a", "m")
    newer = Queue(queue.redis, names[-1])
    queue.redis.hset(f"{newer.prefix}channel", "version", 99)
    queue.redis.script_flush()
    found = inspector.states(["nosuch", *names])
    assert [name for name, state in found.items() if state is not None] == [*names[:3], names[-1]]
    assert isinstance(found[names[-1]], NewerChannel)
    assert [one.depth for one in found.values() if isinstance(one, Overview)] == [1, 1, 1]


def test_workers_are_counted_by_the_queues_that_they_consume(queue: Queue, inspector: Inspector) -> None:
    """Each once a queue."""
    announce = Script("announce", "pushlane_worker")
    for worker in ("w1 pushlane,own", "w2 pushlane", "w1 pushlane,own"):
        announce.call(queue.redis, WORKERS, "", 15_000, worker)
    assert inspector.workers() == {"pushlane": 2, "own": 1}


def test_workers_of_the_previous_release_count_as_one(queue: Queue, inspector: Inspector) -> None:
    """They announce no more than their queues, and a queue that they consume must not look as if nobody did."""
    announce = Script("announce", "pushlane_worker")
    announce.call(queue.redis, CONSUMERS, "", 15_000, "pushlane", "old")
    announce.call(queue.redis, WORKERS, "", 15_000, "w1 pushlane", "w2 pushlane", "w3 ")
    assert inspector.workers() == {"pushlane": 2, "old": 1}


def test_a_dead_worker_is_forgotten_though_the_clock_stepped_back(queue: Queue, inspector: Inspector) -> None:
    """Its entry would otherwise count until the clock is there again, which may be hours."""
    announce = Script("announce", "pushlane_worker")
    announce.call(queue.redis, WORKERS, 100_000_000, 15_000, "w1 pushlane")
    announce.call(queue.redis, WORKERS, 90_000_000, 15_000, "w2 pushlane")
    assert inspector.workers() == {"pushlane": 1}


def test_a_script_that_fails_for_one_channel_is_its_error_alone(queue: Queue, inspector: Inspector) -> None:
    """Also if it is the one that teaches the server the script again."""
    queue.enqueue("a", "m")
    queue.redis.set("pushlane:1:{broken}:counters", "no hash")
    queue.redis.script_flush()
    found = inspector.states(["broken", "support"])
    assert isinstance(found["broken"], redis.ResponseError)
    assert isinstance(found["support"], Overview)


def test_channels_that_are_damaged_cost_no_other_anything(queue: Queue, inspector: Inspector) -> None:
    """Nobody sees the others less for it; whoever asks for such a channel is told."""
    names = ("edited", "partial", "wordy", "uncounted")
    for name in names:
        Queue(queue.redis, name)
    queue.redis.hset("pushlane:1:{edited}:channel", "version", "two")
    queue.redis.hdel("pushlane:1:{partial}:channel", "max_queued")
    queue.redis.hset("pushlane:1:{wordy}:channel", "max_queued", "many")
    queue.redis.hset("pushlane:1:{uncounted}:counters", "accepted", "many")
    found = inspector.states([*names, "support"])
    assert [name for name, state in found.items() if isinstance(state, Overview)] == ["support"]
    for name in ("edited", "wordy", "uncounted"):
        with pytest.raises(QueueUnavailable, match=f"'{name}' is damaged: "):
            inspector.overview(name)
