"""Dead letters: how an operator puts them back into the queue, or has their text forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.queue import LEASE_MS, Queue, room, settle

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from redis import Redis

RETRY_MS = 5000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def _kill(queue: Queue, conversation: str, *names: str, outcome: Outcome = Outcome.REJECTED) -> None:
    """Messages that were pushed once, together, and are dead."""
    queue.enqueue(conversation, *names)
    (claim,) = queue.turn().claims
    assert len(claim.message_ids) == len(names)
    queue.turn(settle(claim, outcome, dead="1" * len(names), reason="r", detail="bad words"), free=-1)


def _dead_letters(redis: Redis, count: int) -> tuple[Queue, list[str]]:
    """So many of them in one conversation, oldest first."""
    queue, names = Queue(redis), [f"m{n:04}" for n in range(count)]
    for at in range(0, count, 500):
        queue.enqueue("a", *names[at : at + 500], expires="1")
    queue.now += 1
    for _ in range(0, count, 200):
        queue.turn()
    assert queue.counters()["dead"] == count
    return queue, names


def _drained(queue: Queue) -> list[str]:
    turn, names = queue.turn(), list[str]()
    while turn.claims:
        names += [name for batch in turn.batches for name in batch.split()]
        turn = queue.turn(*map(settle, turn.claims))
    return names


def test_a_replayed_message_has_its_whole_budget_and_is_what_it_was(redis: Redis) -> None:
    """The same id, number and text; no attempt, no reason, no part of a halved batch; its age counts from now."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", "a2", address=b'["alice",null]')
    queue.turn(settle(queue.turn().claims[0], Outcome.REJECTED, split=1), free=-1)
    (claim,) = queue.turn().claims
    queue.turn(settle(claim, Outcome.FAILED, dead="1", reason="a", detail="no route"), free=-1)
    before = queue.header("a1")
    queue.now += HOUR_MS
    assert queue.replay("a1") == [1, 0, 0]
    after = queue.header("a1")
    assert (after.state, after.reason, after.attempts, after.losses) == ("queued", None, 0, 0)
    assert (after.sequence, after.accepted_ms, after.pushed_ms) == (1, before.accepted_ms, before.pushed_ms)
    assert (after.joined_ms, after.final_ms) == (queue.now, 0)
    assert (queue.content("a1"), queue.detail("a1")) == (("a", b'["alice",null]', b"a1"), "")
    assert queue.field("a1", "part") == b"0" * 8
    assert redis.exists(queue.prefix + "dead") == 0


def test_a_replayed_message_is_delivered(redis: Redis) -> None:
    """Whoever asks again for its id finds it, once; the counters only grow, and the depth is right."""
    queue = Queue(redis)
    _kill(queue, "a", "a1", "a2")
    queue.replay("a1", "a2")
    assert queue.counters()["depth"] == 2
    assert queue.enqueue_again("a1")[0].duplicate
    assert _drained(queue) == ["a1", "a2"]
    counters = queue.counters()
    assert [counters[name] for name in ("accepted", "dead", "replayed", "delivered", "depth")] == [2, 2, 2, 2, 0]


def test_a_replay_begins_with_the_oldest_over_several_calls(redis: Redis) -> None:
    """At most 200 a call, in the order of acceptance whatever the order of their deaths."""
    queue, names = _dead_letters(redis, 450)
    assert queue.replay(*reversed(names)) == [200, 250, 0]
    assert queue.waiting("a").split() == names[:200]
    assert queue.replay() == [200, 50, 0]
    assert queue.replay() == [50, 0, 0]
    assert queue.replay() == [0, 0, 0]
    assert queue.waiting("a").split() == names
    assert redis.exists(queue.prefix + "replay:run") == 0
    assert _drained(queue) == names


def test_a_replay_of_what_stands_in_the_middle_of_a_long_room_is_cut_short(redis: Redis) -> None:
    """Taking one out costs as much as its list is long, so a call takes a few; that it left some says not "full"."""
    queue = Queue(redis)
    names = [f"h{n:02}" for n in range(20)]
    queue.enqueue("a", "a1")
    queue.enqueue("a", *names, hold=f"d{DAY_MS}:k")
    redis.rpush(f"{queue.prefix}conversation:a", *["behind"] * 50_000)
    queue.decide("k", "fno")
    assert queue.replay(*names) == [4, 16, 0]
    assert queue.replay() == [4, 12, 0]
    assert queue.waiting("a").split()[-8:] == names[:8]
    while queue.replay()[1]:
        pass
    assert queue.waiting("a").split() == ["a1", *["behind"] * 50_000, *names]


def test_a_replayed_message_goes_to_the_tail(redis: Redis) -> None:
    """Those that were accepted after its death have been promised their order."""
    queue = Queue(redis)
    _kill(queue, "a", "old")
    queue.enqueue("a", "a1", "a2")
    queue.replay("old")
    assert (queue.waiting("a"), queue.places("a")) == ("a1 a2 old", ["ready"])
    assert _drained(queue) == ["a1", "a2", "old"]


def test_a_replay_leaves_a_leased_and_a_waiting_conversation_where_they_are(redis: Redis) -> None:
    """Nothing is pushed beside a batch in flight, and no backoff is cut short."""
    queue = Queue(redis)
    for name in "ab":
        _kill(queue, name, f"{name}-dead")
    for name in "ab":
        queue.enqueue(name, f"{name}1")
    leased, failed = queue.turn().claims
    queue.turn(settle(failed, Outcome.FAILED, wait_ms=RETRY_MS, dead="0"), free=-1)
    queue.replay("a-dead", "b-dead")
    assert (queue.places("a"), queue.places("b"), queue.turn().claims) == (["leases"], ["delayed"], ())
    assert queue.turn(settle(leased)).batches == ["a-dead"]
    queue.now += RETRY_MS
    assert queue.turn().batches == ["b1 b-dead"]


def test_a_message_that_may_have_been_delivered_stays_so(redis: Redis) -> None:
    """A replay does not undo that a person may have read it."""
    queue = Queue(redis)
    _kill(queue, "a", "a1", outcome=Outcome.UNKNOWN)
    assert queue.header("a1").maybe_delivered
    queue.replay("a1")
    assert queue.header("a1").maybe_delivered
    assert queue.cancel("a1") == "maybe_delivered"


@pytest.mark.parametrize("due", ["", "+5000"])
def test_a_replayed_message_has_no_time_to_live_and_no_due_time_any_more(redis: Redis, due: str) -> None:
    """Who replays what has expired wants it delivered, however late."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", due=due, expires="1000")
    queue.now += 1000
    queue.turn()
    assert queue.header("a1").reason == "expired"
    queue.replay("a1")
    assert queue.header("a1").due_ms == 0
    queue.now += DAY_MS
    assert _drained(queue) == ["a1"]


def test_a_full_channel_takes_no_more_and_says_so(redis: Redis) -> None:
    """What is left of the run goes back when there is room."""
    queue = Queue(redis, max_queued=3)
    for n in range(3):
        _kill(queue, "a", f"dead{n}")
    queue.enqueue("a", "a1", "a2")
    assert queue.replay("dead0", "dead1", "dead2") == [1, 2, 1]
    assert queue.replay() == [0, 2, 1]
    assert (queue.counters()["depth"], redis.zcard(queue.prefix + "dead")) == (3, 2)
    queue.cancel("a1")
    assert queue.replay() == [1, 1, 1]
    queue.cancel("a2")
    assert queue.replay() == [1, 0, 0]
    assert _drained(queue) == ["dead0", "dead1", "dead2"]


def test_what_is_no_dead_letter_any_more_is_passed_over(redis: Redis) -> None:
    """Two operators who replay the same letters, or one who purges some meanwhile, double and break nothing."""
    queue = Queue(redis)
    _kill(queue, "a", "a1", "a2", "a3")
    queue.enqueue("b", "waiting")
    queue.purge("a1")
    queue.replay("a2", run="other")
    assert queue.replay("a1", "a2", "a3", "waiting") == [1, 0, 0]
    assert queue.waiting("a") == "a2 a3"
    assert queue.counters()["depth"] == 3
    assert sorted(_drained(queue)) == ["a2", "a3", "waiting"]


def test_a_replay_rings(redis: Redis) -> None:
    """An idle channel wakes up for it."""
    queue = Queue(redis)
    _kill(queue, "a", "a1")
    queue.now += LEASE_MS
    queue.rung()
    queue.replay("a1")
    assert queue.rung()


def test_a_replay_of_an_unregistered_channel_says_so(redis: Redis) -> None:
    """And changes nothing."""
    queue = Queue(redis)
    redis.delete(queue.prefix + "channel")
    assert queue.replay() == [-2]


def test_a_purged_dead_letter_has_no_text_and_still_says_what_became_of_it(redis: Redis) -> None:
    """Address, body and the API's words are gone; when it died and why are not."""
    queue = Queue(redis, retention_ms=DAY_MS, idempotency_ms=HOUR_MS)
    queue.enqueue("a", "a1", address=b'["alice",null]', body=b"secret")
    queue.turn(settle(queue.turn().claims[0], Outcome.REJECTED, dead="1", reason="r", detail="a secret"), free=-1)
    died = queue.now
    queue.now += HOUR_MS
    assert queue.purge("a1") == 1
    header = queue.header("a1")
    assert (header.state, header.reason, header.final_ms) == ("dead", "rejected", died)
    assert (queue.content("a1"), queue.detail("a1"), queue.record("a1")) == (("a", b"", b""), "", b"")
    assert not [key for key in redis.keys(queue.prefix + "*") if b"secret" in (redis.dump(key) or b"")]
    assert (redis.exists(queue.prefix + "dead"), queue.counters()["purged"], queue.counters()["dead"]) == (0, 1, 1)


@pytest.mark.parametrize(
    ("retention_ms", "idempotency_ms", "kept_ms"),
    [(DAY_MS, HOUR_MS, DAY_MS), (60_000, DAY_MS, DAY_MS - HOUR_MS), (60_000, 5_000, 60_000)],
)
def test_a_purged_dead_letter_is_gone_after_the_retention(
    redis: Redis, retention_ms: int, idempotency_ms: int, kept_ms: int
) -> None:
    """And not before its idempotency window is over: its id means the same message until then."""
    queue = Queue(redis, retention_ms=retention_ms, idempotency_ms=idempotency_ms)
    _kill(queue, "a", "a1")
    queue.now += HOUR_MS
    queue.purge("a1")
    queue.now += kept_ms - 1
    (again,) = queue.enqueue_again("a1")
    assert (again.state, again.duplicate) == ("dead", True)
    queue.now += 1
    assert queue.status("a1") is None


def test_only_dead_letters_are_purged_and_each_of_them_once(redis: Redis) -> None:
    """What waits, was delivered or is not known stays as it is."""
    queue = Queue(redis)
    _kill(queue, "a", "dead")
    queue.enqueue("a", "delivered")
    queue.turn(settle(queue.turn().claims[0]), free=-1)
    queue.enqueue("a", "waiting")
    queue.enqueue("a", "later", due="+5000")
    before = {name: queue.record(name) for name in ("delivered", "waiting", "later")}
    assert queue.purge("dead", "dead", "nobody", *before) == 1
    assert queue.purge("dead") == 0
    assert {name: queue.record(name) for name in before} == before
    assert queue.counters()["purged"] == 1


def test_a_purged_dead_letter_is_not_replayed(redis: Redis) -> None:
    """There is no text to push."""
    queue = Queue(redis)
    _kill(queue, "a", "a1")
    queue.purge("a1")
    assert queue.replay("a1") == [0, 0, 0]
    assert (queue.header("a1").state, queue.waiting("a")) == ("dead", "")


def test_what_dies_in_a_large_turn_leaves_its_list_at_once(redis: Redis) -> None:
    """A replay before the next claim would otherwise list it a second time, and one push would carry it twice."""
    queue = Queue(redis)
    for n in range(40):
        queue.enqueue(f"r{n}", *(f"m{n}-{k}" for k in range(10)))
    redis.hset(f"{queue.prefix}gate", "cap", 100)
    claims = (*queue.turn().claims, *queue.turn().claims)
    assert len(claims) > 20
    queue.turn(*(settle(one, Outcome.UNKNOWN, dead="1" * 10, reason="u") for one in claims), free=-1)
    last = room(claims[-1])
    names = [f"m{last[1:]}-{k}" for k in range(5)]
    assert queue.waiting(last) == ""
    queue.replay(*names)
    assert queue.waiting(last).split() == names
