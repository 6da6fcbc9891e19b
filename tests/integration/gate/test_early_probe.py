"""A probe that goes out before its conversation is due, in the odd cases."""

from redis import Redis
from support.queue import Queue, room, settle, unsent

from pushlane.outcome import Outcome


def _backing_off(redis: Redis) -> tuple[Queue, int]:
    """A broken gate with two conversations that back off, a second before its next probe; and when `r1` is due."""
    queue = Queue(redis, breaker_after=2)
    queue.enqueue("r0", "m0")
    queue.enqueue("r1", "m1")
    far, near = queue.turn(free=2).claims
    queue.turn(
        settle(far, Outcome.FAILED, wait_ms=90_000, dead="0"),
        settle(near, Outcome.FAILED, wait_ms=60_000, dead="0"),
        free=-1,
    )
    due = queue.now + 60_000
    queue.now += 1000
    return queue, due


def test_a_repeated_turn_knows_that_its_probe_is_early(redis: Redis) -> None:
    """A lost reply costs the message no attempt either."""
    queue, due = _backing_off(redis)
    (claim,) = queue.turn().claims
    (again,) = queue.repeat().claims
    assert (again.token, again.early_ms) == (claim.token, claim.early_ms) == (claim.token, due - queue.now)


def test_an_early_probe_that_was_not_sent_waits_on(redis: Redis) -> None:
    """Given back, it is due when it was, and another may probe."""
    queue, due = _backing_off(redis)
    (claim,) = queue.turn().claims
    queue.turn(unsent(claim), free=-1)
    assert redis.zscore(queue.prefix + "delayed", "r1") == due
    assert [room(claim) for claim in queue.turn().claims] == ["r1"]


def test_an_early_probe_of_unknown_outcome_is_listed_and_marked_and_is_no_attempt(redis: Redis) -> None:
    """The message may have arrived: whoever cancels it hears so. Its budget is for when it is due."""
    queue, due = _backing_off(redis)
    (claim,) = queue.turn().claims
    queue.now += 10
    queue.turn(settle(claim, Outcome.UNKNOWN, wait_ms=claim.early_ms, detail="HTTP 502"), free=-1)
    header = queue.header("m1")
    assert (header.attempts, header.maybe_delivered, header.pushed_ms) == (1, True, queue.now)
    assert [(entry["message_ids"], entry["detail"]) for entry in queue.unknown()] == [("m1", "HTTP 502")]
    assert redis.zscore(queue.prefix + "delayed", "r1") == due + 10
    assert queue.cancel("m1") == "maybe_delivered"


def test_a_record_of_another_layout_takes_no_probe(redis: Redis) -> None:
    """Its conversation stands aside, the next one finds out whether the API is back, and nothing spins."""
    queue, _ = _backing_off(redis)
    queue.overwrite("m1", "version", "3")
    turn = queue.turn()
    assert [room(claim) for claim in turn.claims] == ["r0"]
    assert queue.counters()["unreadable"] == 1
    queue.overwrite("m0", "version", "3")
    queue.turn(unsent(turn.claims[0]), free=-1)
    assert queue.turn().claims == ()
    assert queue.turn().wait_ms == -1
    assert queue.counters()["unreadable"] == 2
