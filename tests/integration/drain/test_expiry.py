"""Messages with a time to live: once it is over they are never claimed, and die when something meets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.queue import Queue, settle, unsent

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

LIFE_MS = 1000
BOUND = 210
"""A script drops about 200 messages: at most one batch more."""


def _short(queue: Queue, conversation: str, *names: str) -> None:
    queue.enqueue(conversation, *names, expires=str(LIFE_MS))


def _dead(queue: Queue, name: str) -> bool:
    header = queue.header(name)
    return (header.state, header.reason) == ("dead", "expired")


def _delivered(queue: Queue) -> Iterator[str]:
    """Drains the queue; the ids of the batches that it pushed."""
    turn = queue.turn()
    while turn.claims or turn.wait_ms == 0:
        yield from turn.batches
        turn = queue.turn(*map(settle, turn.claims))


def test_a_message_is_claimed_until_its_time_is_over(redis: Redis) -> None:
    """To the millisecond."""
    queue = Queue(redis)
    _short(queue, "a", "a1")
    _short(queue, "b", "b1")
    queue.now += LIFE_MS - 1
    assert queue.turn(free=1).batches == ["a1"]
    queue.now += 1
    assert queue.turn(free=1).claims == ()
    assert _dead(queue, "b1")
    assert not _dead(queue, "a1")


def test_an_expired_head_makes_room_for_those_behind_it(redis: Redis) -> None:
    """In the same turn; the others keep their order."""
    queue = Queue(redis)
    _short(queue, "a", "e1", "e2")
    queue.enqueue("a", "a1", "a2")
    queue.now += LIFE_MS
    assert queue.turn().batches == ["a1 a2"]
    assert (_dead(queue, "e1"), _dead(queue, "e2"), queue.waiting("a")) == (True, True, "a1 a2")
    queue.assert_counters()


def test_an_expired_message_in_the_middle_of_a_batch_is_left_out(redis: Redis) -> None:
    """The batch is full all the same, and its messages leave the list when it is delivered, no other ones."""
    queue = Queue(redis)
    queue.enqueue("a", "a0")
    for n in range(1, 12):
        _short(queue, "a", f"e{n}")
        queue.enqueue("a", f"a{n}")
    queue.now += LIFE_MS
    (claim,) = queue.turn().claims
    assert claim.message_ids == [f"a{n}".encode() for n in range(10)]
    (rest,) = queue.turn(settle(claim)).claims
    assert rest.message_ids == [b"a10", b"a11"]
    queue.turn(settle(rest))
    assert (queue.waiting("a"), queue.places("a")) == ("", [])
    queue.assert_counters()


def test_a_conversation_of_expired_messages_alone_is_in_no_place(redis: Redis) -> None:
    """Nothing of it is left but the dead letters."""
    queue = Queue(redis)
    _short(queue, "a", *(f"e{n}" for n in range(15)))
    queue.now += LIFE_MS
    turn = queue.turn()
    assert (turn.claims, turn.wait_ms, queue.places("a"), queue.waiting("a")) == ((), -1, [], "")
    assert queue.counters() | {"depth": 0, "dead": 15} == queue.counters()
    queue.assert_counters()


def test_a_message_does_not_expire_in_flight(redis: Redis) -> None:
    """The API may have it already: the truth is what the push came to."""
    queue = Queue(redis)
    _short(queue, "a", "a1")
    (claim,) = queue.turn().claims
    queue.now += 2 * LIFE_MS
    queue.sweep()
    queue.turn()
    assert queue.header("a1").state == "queued"
    queue.turn(settle(claim))
    assert queue.header("a1").state == "delivered"
    queue.assert_counters()


def test_a_message_whose_time_ended_in_flight_is_not_tried_again(redis: Redis) -> None:
    """It dies as expired, not as exhausted, whether the push failed or was never sent."""
    queue = Queue(redis)
    _short(queue, "a", "a1")
    _short(queue, "b", "b1")
    _short(queue, "c", "c1")
    failed, throttled, given_back = queue.turn(free=3).claims
    queue.now += LIFE_MS
    queue.turn(
        settle(failed, Outcome.FAILED, wait_ms=500, dead="0", reason="a"),
        settle(throttled, Outcome.THROTTLED, wait_ms=10),
        unsent(given_back),
        free=-1,
    )
    assert [_dead(queue, name) for name in ("a1", "b1", "c1")] == [True] * 3
    assert queue.header("a1").attempts == 1
    assert [queue.places(name) for name in "abc"] == [[], [], []]
    queue.assert_counters()


def test_a_message_that_expires_while_it_backs_off_is_not_pushed_again(redis: Redis) -> None:
    """And the one behind it goes out in its place, at the conversation's time."""
    queue = Queue(redis)
    _short(queue, "a", "a1")
    queue.turn(settle(queue.turn().claims[0], Outcome.FAILED, wait_ms=2 * LIFE_MS, dead="0"))
    queue.enqueue("a", "a2")
    queue.now += 2 * LIFE_MS
    assert queue.turn().batches == ["a2"]
    assert _dead(queue, "a1")


def test_an_expired_dead_letter_holds_its_text_and_says_why(redis: Redis) -> None:
    """Someone may want to replay it."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", address=b'["alice",null]', body=b"lunch?", expires=str(LIFE_MS))
    queue.now += LIFE_MS + 5
    queue.turn()
    assert queue.content("a1") == ("a", b'["alice",null]', b"lunch?")
    assert queue.detail("a1") == "its time to be delivered was over"
    assert queue.header("a1").final_ms == queue.now
    assert redis.zrange(queue.prefix + "dead", 0, -1, withscores=True) == [(b"a1", queue.now)]
    assert redis.ttl(queue.prefix + "message:a1") == -1


def test_a_cancel_drops_what_has_expired_before_the_next_head(redis: Redis) -> None:
    """Whatever places a conversation keeps the counters right."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    _short(queue, "a", "e1")
    queue.enqueue("a", "a2")
    queue.now += LIFE_MS
    assert queue.cancel("a1") == "cancelled"
    assert (queue.waiting("a"), _dead(queue, "e1")) == ("a2", True)
    queue.assert_counters()


def test_an_expired_message_that_nobody_met_can_be_cancelled(redis: Redis) -> None:
    """It is final once, as what was said first."""
    queue = Queue(redis)
    _short(queue, "a", "a1")
    queue.now += LIFE_MS
    assert queue.cancel("a1") == "cancelled"
    assert queue.turn().claims == ()
    assert queue.header("a1").state == "cancelled"
    queue.assert_counters()


@pytest.mark.long
def test_a_mountain_of_expired_messages_holds_up_no_script(redis: Redis) -> None:
    """100,000 at one head: each call drops about 200 in a few ms, and the drain comes back at once."""
    queue = Queue(redis)
    for block in range(100):
        queue.enqueue("a", *(f"e{block}-{n}" for n in range(1000)), expires=str(LIFE_MS))
    queue.enqueue("a", "alive")
    queue.now += LIFE_MS
    dead, most, calls = 0, 0, 0
    before = str(redis.config_get("slowlog-log-slower-than")["slowlog-log-slower-than"])
    redis.config_set("slowlog-log-slower-than", 20_000)
    redis.slowlog_reset()
    try:
        turn = queue.turn()
        while not turn.claims:
            now_dead, calls = queue.counters()["dead"], calls + 1
            most, dead = max(most, now_dead - dead), now_dead
            assert turn.wait_ms == 0
            assert calls <= 600
            turn = queue.turn()
        slow = redis.slowlog_get()
    finally:
        redis.config_set("slowlog-log-slower-than", before)
    assert turn.batches == ["alive"]
    assert (queue.counters()["dead"], queue.counters()["depth"]) == (100_000, 1)
    assert 190 <= most <= BOUND
    assert len(slow) <= calls // 10, "a busy machine may hold up some of them"


def test_many_conversations_of_expired_messages_share_one_bound(redis: Redis) -> None:
    """Also over all claims and settlements of a turn."""
    queue = Queue(redis)
    redis.hset(queue.prefix + "gate", mapping={"state": "open", "cap": 1000})
    for n in range(40):
        queue.enqueue(f"r{n}", f"head{n}", address=b"alone")
        queue.enqueue(f"r{n}", *(f"e{n}-{k}" for k in range(50)), expires=str(LIFE_MS))
    claims = queue.turn(free=100).claims
    queue.now += LIFE_MS
    queue.turn(*map(settle, claims), free=100)
    assert queue.counters()["dead"] <= BOUND
    queue.turn(free=100)
    assert queue.counters()["dead"] <= 2 * BOUND
    assert list(_delivered(queue)) == []
    assert (queue.counters()["dead"], queue.counters()["depth"]) == (2000, 0)
    assert redis.exists(queue.prefix + "ready") == 0
    queue.assert_counters()
