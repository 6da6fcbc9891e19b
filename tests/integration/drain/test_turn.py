"""Claims: what a turn leases, in which order, and that a repeated turn changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.queue import LEASE_MS, Queue, room, settle

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from redis import Redis

    from pushlane_worker.queue.turns import Settlement

ALICE, BOB = b'["alice",null]', b'["bob",null]'
MIB = 1024 * 1024
UNREADABLE_MS = 60_000


@pytest.mark.parametrize("other", [BOB, ALICE.swapcase()], ids=["shorter", "as long"])
def test_a_batch_ends_where_sender_or_receiver_changes(redis: Redis, other: bytes) -> None:
    """A push carries the longest prefix with one address, and what follows keeps its order."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2", address=ALICE)
    queue.enqueue("a", "a3", address=other)
    queue.enqueue("a", "a4", address=ALICE)
    batches = []
    settlements: list[Settlement] = []
    for _ in range(3):
        turn = queue.turn(*settlements)
        batches += turn.batches
        settlements = [settle(claim) for claim in turn.claims]
    assert batches == ["a1 a2", "a3", "a4"]


def test_a_batch_holds_at_most_ten_messages(redis: Redis) -> None:
    """The API takes ten messages a request."""
    queue = Queue(redis)
    names = [f"a{n}" for n in range(12)]
    queue.enqueue("a", *names)
    first = queue.turn()
    assert first.batches == [" ".join(names[:10])]
    assert queue.turn(settle(first.claims[0])).batches == ["a10 a11"]


def test_a_claimed_batch_stays_at_its_conversations_head(redis: Redis) -> None:
    """Peek, do not pop: a worker that dies leaves nothing to put back."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2")
    assert queue.turn().batches == ["a1 a2"]
    assert queue.waiting("a") == "a1 a2"
    assert queue.places("a") == ["leases"]


def test_a_leased_conversation_is_claimed_by_nobody_else(redis: Redis) -> None:
    """One push of a conversation at a time, also when more messages come in meanwhile."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.turn(drain="first")
    queue.enqueue("a", "a2")
    assert queue.turn(drain="second").claims == ()
    assert queue.places("a") == ["leases"]


def test_a_repeated_turn_returns_the_same_claims(redis: Redis) -> None:
    """A turn whose reply was lost is asked again, also of a server that forgot its scripts."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2")
    queue.enqueue("b", "b1")
    first = queue.turn()
    redis.script_flush()
    again = queue.repeat()
    assert again.claims == first.claims
    assert queue.counters()["depth"] == 3


def test_a_repeated_turn_settles_nothing_twice(redis: Redis) -> None:
    """Its answer says again that the settlements held, and no counter moves."""
    queue = Queue(redis)
    queue.enqueue("a", *(f"a{n}" for n in range(15)))
    queue.enqueue("b", "b1")
    claimed = queue.turn().claims
    settlements = [settle(claimed[0]), settle(claimed[1], Outcome.FAILED, wait_ms=500, dead="0"), settle(claimed[0])]
    first = queue.turn(*settlements)
    counters, attempts = queue.counters(), queue.header("b1").attempts
    redis.script_flush()
    again = queue.repeat()
    assert first.settled == again.settled == (1, 1, 0)
    assert again.claims == first.claims
    assert [claim.message_ids[0] for claim in again.claims] == [b"a10"]
    assert (queue.counters(), queue.header("b1").attempts) == (counters, attempts)


def test_a_repeated_turn_keeps_back_claims_that_are_not_its_own_any_more(redis: Redis) -> None:
    """What was settled or leased anew since the lost reply is nobody's to push."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.enqueue("b", "b1")
    first = queue.turn()
    queue.now += LEASE_MS + 1
    queue.expire(first.claims[:1])
    assert queue.turn(drain="other").batches == ["a1"]
    assert queue.repeat().batches == ["b1"]


def test_a_turn_that_was_held_up_on_the_way_changes_nothing(redis: Redis) -> None:
    """A copy of an older turn that arrives after its repeat claims nothing: its reply has no reader."""
    queue = Queue(redis)
    queue.turn(busy=1)
    held_up = queue.sent()
    queue.turn(busy=1)
    queue.enqueue("a", "a1")
    late = queue.send(held_up)
    assert (late.claims, queue.places("a")) == ((), ["ready"])
    assert queue.turn().batches == ["a1"]


def test_conversations_take_strict_turns(redis: Redis) -> None:
    """A room with 1,000 messages delays the others by one push, not by a hundred."""
    queue = Queue(redis)
    queue.enqueue("big", *(f"big{n}" for n in range(1000)))
    for n in range(5):
        queue.enqueue(f"small{n}", f"s{n}")
    order = []
    turn = queue.turn(free=1)
    while turn.claims:
        order.append(room(turn.claims[0]))
        turn = queue.turn(*(settle(claim) for claim in turn.claims), free=1)
    assert order[:7] == ["big", "small0", "small1", "small2", "small3", "small4", "big"]
    assert order[6:] == ["big"] * 99
    queue.assert_counters()


def test_a_conversation_that_comes_back_takes_its_turn_at_the_end(redis: Redis) -> None:
    """A settled push does not put its conversation before those that waited meanwhile."""
    queue = Queue(redis)
    queue.enqueue("a", *(f"a{n}" for n in range(11)))
    queue.enqueue("b", "b1")
    first = queue.turn(free=1)
    queue.enqueue("c", "c1")
    assert queue.turn(settle(first.claims[0]), free=3).batches == ["b1", "c1", "a10"]


def test_a_turn_claims_no_more_than_the_drain_has_places(redis: Redis) -> None:
    """Claims that could not be pushed at once would only spend their leases."""
    queue = Queue(redis)
    for n in range(4):
        queue.enqueue(f"r{n}", f"m{n}")
    assert queue.turn(free=-1).claims == ()
    assert queue.turn(free=3).batches == ["m0", "m1", "m2"]
    assert queue.turn(free=3).batches == ["m3"]


def test_all_drains_together_claim_no_more_than_the_gates_cap(redis: Redis) -> None:
    """A new channel starts with four pushes in flight over all workers."""
    queue = Queue(redis)
    for n in range(6):
        queue.enqueue(f"r{n}", f"m{n}")
    assert len(queue.turn(drain="one", free=3).claims) == 3
    assert len(queue.turn(drain="two", free=3).claims) == 1
    third = queue.turn(drain="three", free=3)
    assert (third.claims, third.wait_ms) == ((), -1)


def _open_wide(queue: Queue) -> None:
    queue.redis.hset(queue.prefix + "gate", mapping={"state": "open", "cap": 10_000})


def test_a_turn_inspects_about_two_hundred_messages(redis: Redis) -> None:
    """A thousand ready conversations do not make one long script: the next turn takes more."""
    queue = Queue(redis)
    _open_wide(queue)
    for n in range(40):
        queue.enqueue(f"r{n}", *(f"m{n}-{k}" for k in range(10)))
    first = queue.turn(free=1000)
    assert 190 <= sum(len(claim.message_ids) for claim in first.claims) <= 210
    assert first.wait_ms == 0
    claimed = len(first.claims)
    while more := len(queue.turn(free=1000).claims):
        claimed += more
    assert claimed == 40


def test_a_turns_reply_stays_below_about_four_mebibytes(redis: Redis) -> None:
    """Large messages end a turn early, at most one batch past the bound."""
    queue = Queue(redis)
    _open_wide(queue)
    for n in range(18):
        queue.enqueue(f"r{n}", *(f"m{n}-{k}" for k in range(10)), body=b"x" * 60_000)
    first = queue.turn(free=1000)
    size = sum(len(record) for claim in first.claims for record in claim.records)
    assert 4 * MIB <= size <= 4 * MIB + 10 * 61_000
    assert len(queue.turn(free=1000).claims) == len(first.claims)


def test_a_conversation_that_backed_off_is_ready_at_its_time(redis: Redis) -> None:
    """Not a millisecond earlier; and a turn itself promotes it, without a sweep."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    failed = queue.turn(settle(queue.turn().claims[0], Outcome.FAILED, wait_ms=700, dead="0"))
    assert (failed.claims, failed.wait_ms, queue.places("a")) == ((), 700, ["delayed"])
    queue.now += 699
    assert (queue.turn().wait_ms, queue.places("a")) == (1, ["delayed"])
    queue.now += 1
    assert queue.turn().batches == ["a1"]
    assert queue.places("a") == ["leases"]


def test_a_backoff_longer_than_the_longest_is_void(redis: Redis) -> None:
    """A clock that stepped back by an hour delays no conversation by an hour."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.turn(settle(queue.turn().claims[0], Outcome.FAILED, wait_ms=250_000, dead="0"))
    queue.now -= 3_600_000
    queue.sweep()
    assert queue.turn().batches == ["a1"]


def test_an_enqueue_to_a_conversation_that_backs_off_does_not_hurry_it(redis: Redis) -> None:
    """A new message waits behind the failed one, or order would be lost."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.turn(settle(queue.turn().claims[0], Outcome.FAILED, wait_ms=700, dead="0"))
    queue.enqueue("a", "a2")
    assert queue.turn().claims == ()
    queue.now += 700
    assert queue.turn().batches == ["a1 a2"]


def test_a_repeated_enqueue_changes_nothing(redis: Redis) -> None:
    """The same id is the same message, in whatever state, and gets the first answer."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    (second,) = queue.enqueue("a", "a2")
    claim = queue.turn().claims[0]
    redis.script_flush()
    (again,) = queue.enqueue_again("a2")
    assert (again.sequence, again.state, again.duplicate) == (second.sequence, "queued", True)
    queue.turn(settle(claim))
    (again,) = queue.enqueue_again("a2")
    assert (again.sequence, again.state, again.duplicate) == (second.sequence, "delivered", True)
    assert queue.waiting("a") == ""
    queue.assert_counters()


def test_status_tells_what_is_in_flight(redis: Redis) -> None:
    """Only the messages of a leased batch are, and only while it is leased."""
    queue = Queue(redis)
    names = [f"{n:032x}" for n in range(11)]
    queue.enqueue("a", *names)
    claim = queue.turn().claims[0]
    in_flight = [status[1] for name in names if (status := queue.status(name))]
    assert in_flight == [True] * 10 + [False]
    queue.turn(settle(claim), free=-1)
    header, flying = queue.status(names[0]) or (None, True)
    assert header is not None
    assert (header.state, flying) == ("delivered", False)
    assert queue.status("nobody") is None


def test_a_record_of_another_layout_is_neither_pushed_nor_dropped(redis: Redis) -> None:
    """It is a newer worker's: its conversation is looked at again after a minute, and the others go on meanwhile."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2")
    queue.enqueue("b", "b1")
    queue.overwrite("a1", "version", "3")
    turn = queue.turn()
    assert turn.batches == ["b1"]
    assert (queue.places("a"), queue.waiting("a"), queue.counters()["unreadable"]) == ([], "a1 a2", 1)
    queue.now += UNREADABLE_MS - 1
    queue.sweep()
    assert queue.turn(settle(turn.claims[0])).claims == ()
    assert queue.counters()["unreadable"] == 1
    queue.now += 1000
    queue.sweep()
    assert queue.turn().claims == ()
    assert (queue.places("a"), queue.waiting("a"), queue.counters()["unreadable"]) == ([], "a1 a2", 2)
    queue.overwrite("a1", "version", "2")
    queue.now += UNREADABLE_MS
    queue.sweep()
    assert queue.turn().batches == ["a1 a2"]


def test_a_batch_ends_before_a_record_of_another_layout(redis: Redis) -> None:
    """What stands before it in the conversation goes out; nothing behind it overtakes it."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2", "a3")
    queue.overwrite("a2", "version", "3")
    first = queue.turn()
    assert first.batches == ["a1"]
    assert (queue.turn(settle(first.claims[0])).claims, queue.waiting("a")) == ((), "a2 a3")


def test_a_turn_says_that_it_waits_for_work(redis: Redis) -> None:
    """With nothing in the queue there is no time; for a conversation that backs off it is its own."""
    queue = Queue(redis)
    idle = queue.turn()
    assert (idle.wait_ms, idle.why) == (-1, "empty")
    queue.enqueue("a", "a1")
    turn = queue.turn(settle(queue.turn().claims[0], Outcome.FAILED, wait_ms=700, dead="0"))
    assert (turn.wait_ms, turn.why) == (700, "empty")


def test_a_turn_says_that_it_waits_for_the_rate_window(redis: Redis) -> None:
    """While the budget is in flight only an outcome can tell when; after that it is the window's end."""
    queue = Queue(redis, rate_limit=1, rate_window_ms=5000)
    for n in range(2):
        queue.enqueue(f"r{n}", f"m{n}")
    first = queue.turn()
    assert (first.wait_ms, first.why) == (-1, "rate")
    turn = queue.turn(settle(first.claims[0]))
    assert (turn.claims, turn.wait_ms, turn.why) == ((), 5001, "rate")


def test_a_turn_says_that_it_waits_for_the_gate(redis: Redis) -> None:
    """Whether the gate is full, or closed for a time; and over an empty queue nobody waits for a closed gate."""
    queue = Queue(redis)
    for n in range(5):
        queue.enqueue(f"r{n}", f"m{n}")
    full = queue.turn()
    assert (len(full.claims), full.wait_ms, full.why) == (4, -1, "gate")
    closed = queue.turn(settle(full.claims[0], Outcome.THROTTLED, wait_ms=9000))
    assert (closed.wait_ms, closed.why) == (9000, "gate")


def test_of_several_reasons_to_wait_a_turn_names_the_last_to_end(redis: Redis) -> None:
    """What a drain reports is what kept it from going on."""
    queue = Queue(redis, rate_limit=1, rate_window_ms=5000)
    queue.enqueue("a", "a1", "a2")
    turn = queue.turn(settle(queue.turn().claims[0], Outcome.THROTTLED, wait_ms=9000))
    assert (turn.wait_ms, turn.why) == (9000, "gate")
    queue.now += 9000
    turn = queue.turn(settle(queue.turn().claims[0], Outcome.THROTTLED, wait_ms=2000))
    assert (turn.wait_ms, turn.why) == (5001, "rate")
