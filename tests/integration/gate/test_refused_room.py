"""Refused: whether it is the fault of the channel, or of the one conversation that met it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.gate import CAP, channel_of, probe_of
from support.queue import Queue, room, settle

from pushlane.outcome import Outcome
from pushlane_worker.queue.turns import Settled

if TYPE_CHECKING:
    from redis import Redis

    from pushlane_worker.queue.turns import Claim, Settlement


REFUSED_MS = 30_000


def _refuse(claim: Claim, *, dead: str = "0", wait_ms: int = REFUSED_MS) -> Settlement:
    return settle(claim, Outcome.MISCONFIGURED, detail="HTTP 404", dead=dead, wait_ms=wait_ms, reason="a")


def _aside(redis: Redis, count: int = 3) -> Queue:
    """The first room was refused, the second one delivered since; the others wait."""
    queue = channel_of(redis, count)
    (gone,) = queue.turn(free=1).claims
    probe = probe_of(queue.turn(_refuse(gone), free=1))
    assert (room(gone), room(probe)) == ("r0", "r1")
    queue.turn(settle(probe), free=-1)
    return queue


def test_after_one_refusal_nobody_is_pushed_but_a_probe_of_another_room(redis: Redis) -> None:
    """At once; and nothing else until it is answered."""
    queue = channel_of(redis, 10)
    gone, *others = queue.turn(free=3).claims
    probe = probe_of(queue.turn(_refuse(gone)))
    assert room(probe) == "r3"
    assert queue.turn(*(settle(claim) for claim in others)).claims == (), "what was pushed before says nothing"
    assert queue.gate()["state"] == "broken"


def test_the_gate_opens_as_it_was_when_another_room_is_delivered(redis: Redis) -> None:
    """It lost a round trip: no slow start, and nobody's backoff is cut short."""
    queue = channel_of(redis, 30)
    failing, gone = queue.turn(free=2).claims
    queue.turn(settle(failing, Outcome.FAILED, wait_ms=9000, dead="0"), free=-1)
    probe = probe_of(queue.turn(_refuse(gone)))
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
    queue = channel_of(redis, 6)
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
    queue = channel_of(redis, 1)
    for _ in range(5):
        (claim,) = queue.turn().claims
        turn = queue.turn(_refuse(claim, dead="1"))
        assert (turn.claims, turn.wait_ms) == ((), REFUSED_MS)
        queue.now += REFUSED_MS
    assert (queue.header("m0").attempts, queue.gate()["doubts"]) == (0, "1")


def test_who_comes_while_a_lone_room_is_in_doubt_is_pushed_at_once(redis: Redis) -> None:
    """A quiet channel with one room that is gone delays nobody."""
    queue = channel_of(redis, 1)
    queue.turn(_refuse(queue.turn().claims[0]), free=-1)
    queue.now += 5000
    queue.enqueue("new", "new")
    assert queue.rung()
    probe = probe_of(queue.turn())
    assert room(probe) == "new"
    queue.turn(settle(probe), free=-1)
    assert queue.gate()["state"] == "open"


def test_many_rooms_that_are_gone_stop_the_channel_for_one_wait_only(redis: Redis) -> None:
    """Each was refused before the gate opened: the next time it is its own fault, however many they are."""
    queue = channel_of(redis, 9)
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
    queue = channel_of(redis, 5)
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
    queue = channel_of(redis, 4)
    turn = queue.turn(free=1)
    while turn.claims:
        turn = queue.turn(_refuse(turn.claims[0]), free=1)
    queue.register()
    probe = probe_of(queue.turn())
    assert room(probe) == "r3"
    assert len(queue.turn(settle(probe)).claims) == 3


def test_a_gate_in_doubt_is_closed_for_what_was_claimed_ahead(redis: Redis) -> None:
    """Though a probe could go at once, if there were another room."""
    queue = channel_of(redis, 1)
    queue.turn(_refuse(queue.turn().claims[0]), free=-1)
    assert queue.turn().closed
    queue.pause()
    assert queue.turn().closed


def test_an_early_probe_does_not_cut_a_doubt_short(redis: Redis) -> None:
    """What backs off for its own failures is no other room that could tell."""
    queue = channel_of(redis, 2)
    failing, gone = queue.turn().claims
    queue.turn(settle(failing, Outcome.FAILED, wait_ms=60_000, dead="0"), free=-1)
    turn = queue.turn(_refuse(gone))
    assert (turn.claims, turn.wait_ms) == ((), REFUSED_MS)
