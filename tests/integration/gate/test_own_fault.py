"""Refused or throttled: whether it is the channel's fault, or that of the one conversation that met it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.queue import Queue, Turn, room, settle

from pushlane.outcome import Outcome
from pushlane_worker.queue.turns import Settled

if TYPE_CHECKING:
    from redis import Redis

    from pushlane_worker.queue.turns import Claim, Settlement

REFUSED_MS = 30_000
CAP = 64
MANY = 20
"""Messages rejected in a row that are taken for a fault of the channel."""


def _rooms(redis: Redis, count: int, **fields: int) -> Queue:
    """A channel at full speed."""
    queue = Queue(redis, "support", **fields)
    redis.hset(queue.prefix + "gate", mapping={"state": "open", "cap": CAP})
    for n in range(count):
        queue.enqueue(f"r{n}", f"m{n}")
    return queue


def _refuse(claim: Claim, *, dead: str = "0", wait_ms: int = REFUSED_MS) -> Settlement:
    return settle(claim, Outcome.MISCONFIGURED, detail="HTTP 404", dead=dead, wait_ms=wait_ms, reason="a")


def _limit(claim: Claim, *, wait_ms: int = -1, dead: str = "") -> Settlement:
    """A 429 that may be for its conversation alone."""
    return settle(
        claim, Outcome.THROTTLED, detail="HTTP 429", wait_ms=wait_ms, dead=dead, reason="a" if dead else "-", lone=True
    )


def _next(turn: Turn) -> Claim:
    """The one claim of a turn; a probe."""
    (claim,) = turn.claims
    assert claim.probe
    return claim


def _aside(redis: Redis, count: int = 3) -> Queue:
    """The first room was refused, the second one delivered since; the others wait."""
    queue = _rooms(redis, count)
    (gone,) = queue.turn(free=1).claims
    probe = _next(queue.turn(_refuse(gone), free=1))
    assert (room(gone), room(probe)) == ("r0", "r1")
    queue.turn(settle(probe), free=-1)
    return queue


# Refused -----------------------------------------------------------------------------------------------------------


def test_after_one_refusal_nobody_is_pushed_but_a_probe_of_another_room(redis: Redis) -> None:
    """At once; and nothing else until it is answered."""
    queue = _rooms(redis, 10)
    gone, *others = queue.turn(free=3).claims
    probe = _next(queue.turn(_refuse(gone)))
    assert room(probe) == "r3"
    assert queue.turn(*(settle(claim) for claim in others)).claims == (), "what was pushed before says nothing"
    assert queue.gate()["state"] == "broken"


def test_the_gate_opens_as_it_was_when_another_room_is_delivered(redis: Redis) -> None:
    """It lost a round trip: no slow start, and nobody's backoff is cut short."""
    queue = _rooms(redis, 30)
    failing, gone = queue.turn(free=2).claims
    queue.turn(settle(failing, Outcome.FAILED, wait_ms=9000, dead="0"), free=-1)
    probe = _next(queue.turn(_refuse(gone)))
    assert len(queue.turn(settle(probe)).claims) == 27
    assert int(queue.gate()["cap"]) >= CAP
    assert (queue.places("r0"), queue.places("r1")) == (["delayed"], ["delayed"])


def test_who_was_refused_alone_is_set_aside_and_moves_the_gate_no_more(redis: Redis) -> None:
    """Listed with the API's words, asked again after 30 s; then each refusal is an attempt, until its budget ends."""
    queue = _aside(redis)
    assert queue.blocked() == {"r0": (queue.now, "misconfigured: HTTP 404")}
    assert (redis.zscore(queue.prefix + "delayed", "r0"), queue.header("m0").attempts) == (queue.now + REFUSED_MS, 0)
    queue.now += REFUSED_MS
    claims = {room(claim): claim for claim in queue.turn().claims}
    assert claims.keys() == {"r0", "r2"}
    assert queue.turn(_refuse(claims["r0"], wait_ms=60_000), free=-1).settled == (Settled.CURRENT,)
    assert (queue.gate()["state"], queue.header("m0").attempts) == ("open", 1)
    assert redis.zscore(queue.prefix + "delayed", "r0") == queue.now + 60_000
    queue.now += 60_000
    (again,) = queue.turn().claims
    queue.turn(_refuse(again, dead="1"), free=-1)
    assert (queue.header("m0").reason, queue.detail("m0"), queue.header("m0").attempts) == ("exhausted", "HTTP 404", 2)
    assert (queue.blocked(), queue.places("r0")) == ({}, [])
    queue.assert_counters()


def test_who_was_set_aside_can_be_skipped(redis: Redis) -> None:
    """Its next message is tried at once."""
    queue = _aside(redis)
    queue.enqueue("r0", "behind")
    assert queue.skip("r0") == ["skipped", "m0"]
    assert queue.turn().batches == ["m2", "behind"]


def test_who_is_delivered_again_is_refused_for_the_first_time_again(redis: Redis) -> None:
    """What it was refused for is mended."""
    queue = _aside(redis)
    queue.now += REFUSED_MS
    queue.enqueue("r0", "next", address=b"another")
    queue.turn(*(settle(claim) for claim in queue.turn().claims), free=-1)
    assert queue.blocked() == {}
    assert queue.turn(_refuse(queue.turn().claims[0]), free=-1).settled == (Settled.SPARED,)
    assert queue.gate()["state"] == "broken"


def test_three_different_rooms_in_a_row_are_the_channel(redis: Redis) -> None:
    """Two others are asked at once, one after the other; then one each 30 s, and none of it is an attempt."""
    queue = _rooms(redis, 6)
    turn, asked = queue.turn(free=1), []
    while turn.claims:
        (claim,) = turn.claims
        asked.append(room(claim))
        turn = queue.turn(_refuse(claim, dead="1"), free=1)
        assert turn.settled == (Settled.SPARED,)
    assert (asked, turn.wait_ms) == (["r0", "r1", "r2"], REFUSED_MS)
    assert queue.counters().get("dead", 0) == 0


def test_a_single_room_is_asked_each_thirty_seconds_and_spends_nothing(redis: Redis) -> None:
    """Nobody can tell whose fault it is; and it never becomes several rooms."""
    queue = _rooms(redis, 1)
    for _ in range(5):
        (claim,) = queue.turn().claims
        turn = queue.turn(_refuse(claim, dead="1"))
        assert (turn.claims, turn.wait_ms) == ((), REFUSED_MS)
        queue.now += REFUSED_MS
    assert (queue.header("m0").attempts, queue.gate()["doubts"]) == (0, "1")


def test_who_comes_while_a_lone_room_is_in_doubt_is_pushed_at_once(redis: Redis) -> None:
    """A quiet channel with one room that is gone delays nobody."""
    queue = _rooms(redis, 1)
    queue.turn(_refuse(queue.turn().claims[0]), free=-1)
    queue.now += 5000
    queue.enqueue("new", "new")
    assert queue.rung()
    probe = _next(queue.turn())
    assert room(probe) == "new"
    queue.turn(settle(probe), free=-1)
    assert queue.gate()["state"] == "open"


def test_many_rooms_that_are_gone_stop_the_channel_for_one_wait_only(redis: Redis) -> None:
    """Each was refused before the gate opened: the next time it is its own fault, however many they are."""
    queue = _rooms(redis, 9)
    gone = {f"r{n}" for n in range(6)}
    waits, turn = 0, queue.turn(free=2)
    for _ in range(60):
        answers = [_refuse(claim) if room(claim) in gone else settle(claim) for claim in turn.claims]
        for claim in turn.claims:
            if room(claim) not in gone:
                queue.enqueue(room(claim), f"more {queue.now} {room(claim)}")
        turn = queue.turn(*answers, free=2)
        if not turn.claims:
            waits += queue.gate()["state"] == "broken"
            queue.now += turn.wait_ms
            turn = queue.turn(free=2)
    assert waits <= 4, f"the channel stood still {waits} times"
    assert queue.gate()["state"] == "open"
    assert all(queue.header(f"m{n}").attempts > 0 for n in range(6))


def test_probes_of_a_broken_channel_go_on_from_room_to_room(redis: Redis) -> None:
    """Whoever is asked when it is broken waits behind all others, also those that come later."""
    queue = _rooms(redis, 5)
    asked, turn = [], queue.turn(free=1)
    for n in range(8):
        asked.append(room(turn.claims[0]))
        if n == 3:
            queue.enqueue("late", "late")
        turn = queue.turn(_refuse(turn.claims[0]), free=1)
        if not turn.claims:
            queue.now += turn.wait_ms
            turn = queue.turn(free=1)
    assert asked == ["r0", "r1", "r2", "r3", "r4", "r0", "r1", "late"]


def test_a_channel_that_is_put_right_delivers_at_once_what_was_refused(redis: Redis) -> None:
    """After a real break nobody is set aside."""
    queue = _rooms(redis, 4)
    turn = queue.turn(free=1)
    while turn.claims:
        turn = queue.turn(_refuse(turn.claims[0]), free=1)
    queue.register()
    probe = _next(queue.turn())
    assert room(probe) == "r3"
    assert len(queue.turn(settle(probe)).claims) == 3


def test_a_gate_in_doubt_is_closed_for_what_was_claimed_ahead(redis: Redis) -> None:
    """Though a probe could go at once, if there were another room."""
    queue = _rooms(redis, 1)
    queue.turn(_refuse(queue.turn().claims[0]), free=-1)
    assert queue.turn().closed
    queue.pause()
    assert queue.turn().closed


def test_an_early_probe_does_not_cut_a_doubt_short(redis: Redis) -> None:
    """What backs off for its own failures is no other room that could tell."""
    queue = _rooms(redis, 2)
    failing, gone = queue.turn().claims
    queue.turn(settle(failing, Outcome.FAILED, wait_ms=60_000, dead="0"), free=-1)
    turn = queue.turn(_refuse(gone))
    assert (turn.claims, turn.wait_ms) == ((), REFUSED_MS)


# Throttled ---------------------------------------------------------------------------------------------------------


def test_one_room_that_is_throttled_waits_alone(redis: Redis) -> None:
    """As long as it was asked, whatever happens to it meanwhile; no attempt, and the gate stays open."""
    queue = _rooms(redis, 5)
    limited, other = queue.turn(free=2).claims
    queue.turn(settle(other), free=-1)
    turn = queue.turn(_limit(limited, wait_ms=7000))
    assert (turn.settled, len(turn.claims), queue.gate()["state"]) == ((Settled.CURRENT,), 3, "open")
    assert (queue.header("m0").attempts, queue.blocked()) == (0, {"r0": (queue.now, "throttled: HTTP 429")})
    queue.turn(*(settle(claim) for claim in turn.claims), free=-1)
    queue.enqueue("r0", "behind")
    assert queue.skip("r0") == ["skipped", "m0"]
    queue.now += 6999
    assert queue.turn().claims == ()
    queue.now += 1
    assert queue.turn().batches == ["behind"]


def test_a_room_that_is_throttled_again_waits_longer_each_time(redis: Redis) -> None:
    """Without Retry-After: 1, 2, 4 … 60 s."""
    queue, waits = _rooms(redis, 1), []
    for _ in range(8):
        (claim,) = queue.turn().claims
        waits.append(queue.turn(_limit(claim)).wait_ms)
        queue.now += waits[-1]
    assert waits == [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]
    assert queue.gate()["state"] == "open"


@pytest.mark.parametrize(
    ("between_ms", "delivers", "state"),
    [(999, True, "throttled"), (1000, True, "open"), (60_000, False, "throttled")],
    ids=["within a second", "a second later", "nothing delivered between"],
)
def test_a_second_room_is_the_channel_within_a_second_or_with_no_delivery_between(
    redis: Redis,
    between_ms: int,
    delivers: bool,  # noqa: FBT001 # pytest's table
    state: str,
) -> None:
    """Then the gate closes for as long as it was asked."""
    queue = _rooms(redis, 5)
    first, second, third = queue.turn(free=3).claims
    queue.turn(_limit(first, wait_ms=90_000), free=-1)
    queue.turn(*[settle(third)] * delivers, free=-1)
    queue.now += between_ms
    queue.turn(_limit(second, wait_ms=4000), free=-1)
    gate = queue.gate()
    assert gate["state"] == state
    if state == "throttled":
        assert int(gate["until"]) == queue.now + 4000


def test_a_room_that_is_known_to_be_limited_closes_no_gate(redis: Redis) -> None:
    """Two rooms over their own limits stop the channel once at most, not each time that they meet."""
    queue = _rooms(redis, 2)
    one, two = queue.turn().claims
    queue.turn(_limit(one), free=-1)
    queue.now += 1000
    queue.enqueue("other", "o1")
    claims = {room(claim): claim for claim in queue.turn().claims}
    queue.turn(settle(claims["other"]), _limit(claims["r0"]), _limit(two), free=-1)
    assert queue.gate()["state"] == "open"


def test_many_rooms_throttled_at_once_count_once(redis: Redis) -> None:
    """64 in flight together: the second answer closes the gate, and no later one makes it wait longer."""
    queue = _rooms(redis, 64)
    queue.turn(*(_limit(claim) for claim in queue.turn().claims), free=-1)
    gate = queue.gate()
    assert (gate["state"], int(gate["until"]) - queue.now, gate["throttles"]) == ("throttled", 1000, "1")


def test_a_room_that_is_never_let_in_dies_of_its_age(redis: Redis) -> None:
    """It must not fill the queue for ever."""
    queue = _rooms(redis, 1)
    queue.turn(_limit(queue.turn().claims[0], dead="1"), free=-1)
    header = queue.header("m0")
    assert (header.state, header.reason, header.attempts, queue.detail("m0")) == ("dead", "exhausted", 0, "HTTP 429")
    assert queue.blocked() == {}
    queue.assert_counters()


# Given up ---------------------------------------------------------------------------------------------------------

DEADLINE_MS = 10_000


def _give_up(claim: Claim, *, lost: bool = False) -> Settlement:
    """ON_UNKNOWN=dead_letter: nobody knows whether it will take effect."""
    return settle(claim, Outcome.UNKNOWN, dead="1", reason="u", wait_ms=DEADLINE_MS, lost=lost)


@pytest.mark.parametrize("lost", [False, True], ids=["unknown", "a lost lease"])
def test_the_followers_of_a_push_that_was_given_up_wait_until_it_can_hardly_take_effect(
    redis: Redis,
    lost: bool,  # noqa: FBT001 # pytest's table
) -> None:
    """Or the API would have them first."""
    queue = _rooms(redis, 1)
    queue.enqueue("r0", "behind", address=b"another")
    turn = queue.turn(_give_up(queue.turn().claims[0], lost=lost))
    assert (turn.claims, turn.wait_ms, queue.header("m0").reason) == ((), DEADLINE_MS, "unknown")
    queue.now += DEADLINE_MS
    assert queue.turn().batches == ["behind"]


def test_what_comes_after_a_push_that_was_given_up_waits_as_well(redis: Redis) -> None:
    """Also when nothing was left in the room; whatever way it comes, and whatever is done to it."""
    queue = _rooms(redis, 1)
    queue.turn(_give_up(queue.turn().claims[0]), free=-1)
    queue.enqueue("r0", "cancelled")
    queue.cancel("cancelled")
    queue.enqueue("r0", "held", hold="d60000:key")
    queue.enqueue("r0", "later", due="+1000")
    queue.decide("key", "a")
    queue.replay("m0")
    queue.now += DEADLINE_MS - 1
    assert queue.turn().claims == ()
    queue.now += 1
    assert queue.turn().batches == ["held m0 later"]


def test_a_probe_does_not_cut_a_rest_short(redis: Redis) -> None:
    """The gate broke of what was given up."""
    queue = _rooms(redis, 1, breaker_after=1)
    queue.enqueue("r0", "behind", address=b"another")
    queue.turn(_give_up(queue.turn().claims[0]), free=-1)
    queue.now += DEADLINE_MS - 1
    turn = queue.turn()
    assert (queue.gate()["state"], turn.claims, turn.wait_ms) == ("broken", (), 1)
    queue.now += 1
    assert queue.turn().batches == ["behind"]


def test_a_rest_that_is_over_leaves_nothing(redis: Redis) -> None:
    """A sweep clears up."""
    queue = _rooms(redis, 1)
    queue.turn(_give_up(queue.turn().claims[0]), free=-1)
    assert redis.zcard(queue.prefix + "resting") == 1
    queue.now += DEADLINE_MS
    queue.sweep()
    assert redis.exists(queue.prefix + "resting") == 0


def test_a_sweep_forgets_no_more_rests_than_it_has_time_for(redis: Redis) -> None:
    """No worker ran for a while: 50,000 rests that are over would hold Redis for 30 ms."""
    queue = _rooms(redis, 0)
    redis.zadd(queue.prefix + "resting", {f"r{n}": queue.now for n in range(2500)})
    left = []
    for _ in range(3):
        queue.now += 1000
        queue.sweep()
        left.append(redis.zcard(queue.prefix + "resting"))
    assert left == [1500, 500, 0]


def test_a_clock_that_steps_back_makes_nobody_rest_for_longer(redis: Redis) -> None:
    """A day, for instance."""
    queue = _rooms(redis, 1)
    queue.enqueue("r0", "behind", address=b"another")
    queue.turn(_give_up(queue.turn().claims[0]), free=-1)
    queue.now -= 86_400_000
    assert queue.turn().batches == ["behind"]


# Rejected ----------------------------------------------------------------------------------------------------------


def _reject_all(queue: Queue, turn: Turn) -> Turn:
    """An API that refuses everything, until nothing is pushed any more."""
    while turn.claims:
        (claim, *_) = turn.claims
        size = len(claim.message_ids)
        step = {"split": (size + 1) // 2} if size > 1 else {"dead": "1", "reason": "r"}
        others = [settle(other, Outcome.REJECTED, **step) for other in turn.claims if len(other.message_ids) == size]
        others += [settle(other, Outcome.UNSENT) for other in turn.claims if len(other.message_ids) != size]
        turn = queue.turn(*others)
    return turn


@pytest.mark.parametrize("rooms", [1, 5, 19, 40])
def test_a_channel_that_rejects_everything_kills_at_most_twenty(redis: Redis, rooms: int) -> None:
    """However few rooms there are, and however many pushes are in flight when that is noticed."""
    queue = _rooms(redis, 0)
    for n in range(200):
        queue.enqueue(f"r{n % rooms}", f"m{n}")
    turn = _reject_all(queue, queue.turn())
    assert (queue.gate()["state"], queue.gate()["reason"]) == ("broken", "suspect: said so")
    for _ in range(5):
        queue.now += max(turn.wait_ms, 0)
        turn = _reject_all(queue, queue.turn())
    assert queue.counters()["dead"] < MANY
    queue.now += turn.wait_ms
    while claims := queue.turn().claims:
        queue.turn(*(settle(claim) for claim in claims), free=-1)
    queue.assert_counters()
    assert queue.counters()["delivered"] == 200 - queue.counters()["dead"]


def test_a_room_of_nothing_but_rejects_dies_next_to_rooms_that_are_delivered(redis: Redis) -> None:
    """Each delivery starts the count anew."""
    queue = _rooms(redis, 0)
    queue.enqueue("bad", *(f"b{n}" for n in range(50)), address=b"")
    redis.hset(queue.prefix + "channel", "batch_limit", 1)
    queue.enqueue("good", *(f"g{n}" for n in range(50)))
    while claims := queue.turn().claims:
        answers = (
            settle(claim, Outcome.REJECTED, dead="1", reason="r") if room(claim) == "bad" else settle(claim)
            for claim in claims
        )
        queue.turn(*answers, free=-1)
    assert (queue.counters()["dead"], queue.counters()["delivered"]) == (50, 50)


def test_a_batch_that_is_condemned_whole_counts_with_all_its_messages(redis: Redis) -> None:
    """Destinations that are not found: two rooms of ten in a row kill ten, and the next room is asked."""
    queue = _rooms(redis, 0)
    for n in range(3):
        queue.enqueue(f"r{n}", *(f"r{n}.{k}" for k in range(10)))
    turn = queue.turn(free=1)
    answers: list[int] = []
    for _ in range(2):
        turn = queue.turn(settle(turn.claims[0], Outcome.REJECTED, dead="1" * 10, reason="r"), free=1)
        answers += turn.settled
    assert answers == [Settled.CURRENT, Settled.SPARED]
    assert (queue.counters()["dead"], room(_next(turn))) == (10, "r2")


def test_a_late_delivery_does_not_start_the_count_of_a_suspect_channel_anew(redis: Redis) -> None:
    """It was pushed before the gate broke, and says nothing about the API after it."""
    queue = _rooms(redis, MANY + 5)
    claims = queue.turn().claims
    queue.turn(*(settle(one, Outcome.REJECTED, dead="1", reason="r") for one in claims[:MANY]), settle(claims[-1]))
    assert (queue.gate()["state"], queue.counters()["dead"]) == ("broken", MANY - 1)
    answers = (settle(one, Outcome.REJECTED, dead="1", reason="r") for one in claims[MANY:-1])
    assert set(queue.turn(*answers, free=-1).settled) == {Settled.SPARED}
