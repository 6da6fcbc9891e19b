"""The audit: each act of an operator is written down before and after it, without what a message says."""

from contextlib import suppress

import pytest
from redis import Redis
from redis import exceptions as errors
from support.queue import Queue, settle

from pushlane import UnknownChannel
from pushlane.keys import AUDIT
from pushlane.operators import audit
from pushlane.operators.actions import Operator
from pushlane.operators.audit import MAX_CHARS, AuditEntry, follow_audit, read_audit
from pushlane.outcome import Outcome


@pytest.fixture
def queue(redis: Redis) -> Queue:
    """The channel ``support``."""
    return Queue(redis, batch_limit=1000)


@pytest.fixture
def operator(redis_url: str) -> Operator:
    """Anna."""
    return Operator(redis_url, by="anna@host")


def told(redis: Redis, limit: int = 100) -> list[tuple[str, ...]]:
    """What the entries say, oldest first."""
    entries = reversed(list(read_audit(redis, limit)))
    return [(one.by, one.act, one.channel, one.target, one.result) for one in entries]


def kill(queue: Queue, *ids: str) -> None:
    """Makes dead letters of one conversation."""
    queue.enqueue("room", *ids)
    (taken,) = queue.turn().claims
    queue.turn(settle(taken, Outcome.FAILED, dead="1" * len(ids), reason="r"))


def test_each_act_is_one_entry_with_its_result(queue: Queue, operator: Operator, redis: Redis) -> None:
    """Who did what to which channel and what in it, and what came of it."""
    kill(queue, "a", "b", "c")
    operator.pause("support")
    operator.pause("support")
    operator.resume("support")
    operator.skip("support", "room")
    with operator.replay("support") as run:
        run.add({"a": 1})
        list(run.steps())
    assert operator.purge("support", ["b"]) == 1
    operator.purge("support", iter(["c", "nosuch"]))
    operator.remove("support")
    operator.remove("support", force=True)
    assert [(act, target, result) for by, act, channel, target, result in told(redis)] == [
        ("pause", "", "paused"),
        ("pause", "", "was already paused"),
        ("resume", "", "resumed"),
        ("skip", "room", "not_blocked"),
        ("replay", "a", "1 queued again"),
        ("purge", "b", "1 purged"),
        ("purge", "dead letters", "1 purged"),
        ("remove", "if it is empty", "refused: it has 1 messages, 0 dead letters"),
        ("remove", "with what it holds", "removed with 1 messages, 0 dead letters"),
    ]
    assert {(by, channel) for by, _, channel, _, _ in told(redis)} == {("anna@host", "support")}


def test_an_act_that_finds_nothing_says_so(queue: Queue, operator: Operator, redis: Redis) -> None:
    """An empty result would mean that its process died."""
    queue.enqueue("room", "a")
    with operator.replay("support") as run:
        list(run.steps())
    operator.purge("support", [])
    assert [(act, target, result) for _, act, _, target, result in told(redis)] == [
        ("replay", "0 dead letters", "0 queued again"),
        ("purge", "dead letters", "0 purged"),
    ]


def test_an_act_that_does_not_start_is_no_entry(operator: Operator, redis: Redis) -> None:
    """The channel is unknown: there was nothing to act on."""
    for act in (operator.pause, operator.resume, operator.replay):
        with pytest.raises(UnknownChannel):
            act("support")
    assert told(redis) == []


def test_nothing_is_done_if_it_cannot_be_written_down(queue: Queue, operator: Operator, redis: Redis) -> None:
    """The entry comes first."""
    queue.enqueue("room", "a")
    redis.set(AUDIT, "not a stream")
    with pytest.raises(errors.ResponseError, match="WRONGTYPE"):
        operator.pause("support")
    assert "paused" not in queue.gate()
    redis.delete(AUDIT)


def test_an_act_that_breaks_in_between_has_its_entry(queue: Queue, operator: Operator, redis: Redis) -> None:
    """Without a result if nothing could be written any more, else with the error's name."""
    queue.enqueue("room", "a")
    operator.audit.note("pause", "support")  # all that a process writes that dies here
    with suppress(errors.TimeoutError), operator.audit.act("purge", "support", "x") as act:
        act.result = "200 purged"
        raise errors.TimeoutError
    assert told(redis) == [
        ("anna@host", "pause", "support", "", ""),
        ("anna@host", "purge", "support", "x", "200 purged TimeoutError"),
    ]


def test_an_act_whose_result_cannot_be_written_is_done_all_the_same(operator: Operator, redis: Redis) -> None:
    """Its result is not lost to whoever acted."""
    with operator.audit.act("pause", "support") as act:
        redis.set(AUDIT, "not a stream")
        act.result = "paused"
    redis.delete(AUDIT)


def test_entries_are_cut_and_bounded(operator: Operator, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a long id nor a busy year fills Redis."""
    monkeypatch.setattr(audit, "KEPT", 100)
    for _ in range(400):
        operator.audit.note("skip", "support", "c" * 1000, "not_blocked")
    assert redis.xlen(AUDIT) < 300
    (entry,) = read_audit(redis, 1)
    assert len(entry.target) == MAX_CHARS


def test_more_entries_than_a_page_are_read_and_each_act_once(operator: Operator, redis: Redis) -> None:
    """Latest first, and no more than wanted."""
    for number in range(audit.PAGE):
        with operator.audit.act("skip", "support", str(number)) as act:
            act.result = "skipped"
    entries = list(read_audit(redis, 10 * audit.PAGE))
    assert [one.target for one in entries] == [str(number) for number in reversed(range(audit.PAGE))]
    assert [one.target for one in read_audit(redis, 2)] == ["499", "498"]
    assert not list(read_audit(redis, 0))


def test_following_gives_both_entries_of_an_act(operator: Operator, redis: Redis) -> None:
    """The first as soon as it begins."""
    start = operator.audit.note("log in", "", "192.0.2.1", "logged in")
    following = follow_audit(redis, start)
    with operator.audit.act("pause", "support") as act:
        begun: AuditEntry = next(following)
        act.result = "paused"
    ended = next(following)
    assert (begun.result, ended.result, ended.of) == ("", "paused", begun.id)
    assert begun.at is not None
