"""Removing a channel, through the script of a real server: what it refuses, what it leaves, and whom it spares."""

import re
import time

import pytest
from redis import Redis
from support.queue import EPOCH_MS, Queue, settle

from pushlane import InvalidMessage, UnknownChannel, keys
from pushlane.operators.actions import Operator, Removal
from pushlane.outcome import Outcome
from pushlane.scripts import Script, source

REMOVE = Script("remove")

MINUTE_MS = 60_000


@pytest.fixture
def queue(redis: Redis) -> Queue:
    """The channel ``support``."""
    return Queue(redis)


@pytest.fixture
def operator(redis_url: str) -> Operator:
    """An operator of the test's server."""
    return Operator(redis_url, by="a test")


def fill(queue: Queue) -> None:
    """Seven messages, in every place that one can have, and a dead letter."""
    queue.enqueue("newer", "n1")
    queue.overwrite("n1", "version", "3")
    assert not queue.turn().claims
    queue.enqueue("died", "d1")
    queue.enqueue("tried", "t1")
    died, tried = queue.turn().claims
    queue.turn(
        settle(died, Outcome.REJECTED, dead="1", reason="r"), settle(tried, Outcome.FAILED, wait_ms=MINUTE_MS, dead="0")
    )
    queue.enqueue("leased", "l1")
    assert len(queue.turn().claims) == 1
    queue.enqueue("leased", "l2")
    queue.enqueue("ready", "r1")
    queue.enqueue("held", "h1", hold=f"{queue.now + MINUTE_MS}:x:key")
    queue.enqueue("later", "s1", due=str(queue.now + MINUTE_MS))
    assert queue.redis.zrange(f"{queue.prefix}unreadable", 0, -1) == [b"newer"]


def everlasting(queue: Queue) -> list[str]:
    """The channel's keys that would stay for ever."""
    found = queue.redis.scan_iter(f"{queue.prefix}*")
    return sorted(key.decode().removeprefix(queue.prefix) for key in found if queue.redis.ttl(key) == -1)


def test_an_empty_channel_leaves_nothing_that_stays(queue: Queue, operator: Operator, redis: Redis) -> None:
    """What was delivered expires as it would have; another channel's keys are its own."""
    other = Queue(redis, "other")
    other.enqueue("room", "o1")
    queue.enqueue("room", "a")
    (taken,) = queue.turn().claims
    queue.turn(settle(taken, Outcome.DELIVERED))
    before = everlasting(other)
    assert operator.remove("support") == Removal(removed=True, messages=0, dead_letters=0, served=False)
    assert everlasting(queue) == []
    assert (everlasting(other), other.waiting("room")) == (before, "o1")
    assert redis.smembers(keys.CHANNELS) == {b"other"}
    assert redis.zrange(keys.BELL, 0, -1) == [b"other"]


def test_a_new_channel_of_the_name_has_delivered_nothing_yet(queue: Queue, redis: Redis) -> None:
    """Of this hour or the one before: no chart goes back further."""
    start = queue.now
    for minutes in (0, 59):
        queue.now = start + minutes * MINUTE_MS
        queue.enqueue("room", f"m{minutes}")
        (taken,) = queue.turn().claims
        queue.turn(settle(taken))
    assert sum(Script("throughput").call(redis, queue.prefix, queue.now)) == 2
    assert REMOVE.call(redis, queue.prefix, queue.now, 0)[0] == 0
    assert not list(redis.scan_iter(f"{queue.prefix}throughput:*"))


def test_what_waits_or_died_is_not_removed_unasked(queue: Queue, operator: Operator) -> None:
    """Neither the one nor the other; the channel goes on."""
    queue.enqueue("room", "a")
    assert operator.remove("support") == Removal(removed=False, messages=1, dead_letters=0, served=False)
    (taken,) = queue.turn().claims
    queue.turn(settle(taken, Outcome.REJECTED, dead="1", reason="r"))
    assert operator.remove("support") == Removal(removed=False, messages=0, dead_letters=1, served=False)
    queue.enqueue("room", "b")
    assert queue.turn().batches == ["b"]


def test_by_force_every_place_is_emptied(queue: Queue, operator: Operator) -> None:
    """Ready, delayed, leased, held, scheduled, unreadable, dead: nothing stays, and the count is returned."""
    fill(queue)
    assert operator.remove("support", force=True) == Removal(removed=True, messages=7, dead_letters=1, served=False)
    assert everlasting(queue) == []
    assert not list(queue.redis.scan_iter(f"{queue.prefix}message:*"))


def test_a_long_room_is_removed_some_a_call(queue: Queue, operator: Operator, redis: Redis) -> None:
    """No call takes longer for a longer queue; meanwhile nobody can enqueue; one that broke off is repeated."""
    queue.enqueue("room", *(f"m{n}" for n in range(450)))
    queue.enqueue("other", "o1")
    assert REMOVE.call(redis, queue.prefix, "", 1) == [1, 451, 0, 0]
    assert redis.llen(f"{queue.prefix}conversation:room") + redis.llen(f"{queue.prefix}conversation:other") > 200
    with pytest.raises(AssertionError, match="enqueue answered"):
        queue.enqueue("room", "late")
    assert operator.remove("support", force=True).removed
    assert everlasting(queue) == []


def test_a_push_in_flight_ends_as_nothing(queue: Queue, redis: Redis) -> None:
    """A worker that reports it between two calls has registered the channel again; it moves nothing all the same."""
    queue.enqueue("room", *(f"m{n}" for n in range(450)))
    (taken,) = queue.turn().claims
    assert REMOVE.call(redis, queue.prefix, "", 1)[0] == 1
    queue.register()
    assert queue.turn(settle(taken, Outcome.DELIVERED)).settled == (0,)
    assert queue.counters().get("delivered", 0) == 0


def test_a_worker_that_runs_is_noticed(queue: Queue, operator: Operator) -> None:
    """Workers sweep once a second; theirs is the last word, so it is said."""
    queue.redis.hset(f"{queue.prefix}sweep", "at", int(time.time() * 1000))
    assert operator.remove("support").served
    queue.register()
    queue.redis.hset(f"{queue.prefix}sweep", "at", EPOCH_MS)
    assert not operator.remove("support").served


def test_there_is_nothing_to_remove_twice(queue: Queue, operator: Operator) -> None:
    """An invalid name, and channels that do not exist."""
    assert operator.remove(queue.channel).removed
    for name in (queue.channel, "nosuch"):
        with pytest.raises(UnknownChannel, match=name):
            operator.remove(name)
    with pytest.raises(InvalidMessage):
        operator.remove("a b")


def test_the_script_knows_every_key_of_a_channel() -> None:
    """Those of the table that have one name; the others are reached through them, or expire."""
    table = (keys.__doc__ or "").partition("\n(*)")[0]
    named = set(re.findall(r"^``(\w+)``", table, re.MULTILINE))
    listed = re.search(r"local NAMES = \{(.*?)\}", source("remove"), re.DOTALL)
    assert listed
    assert set(re.findall(r"'(\w+)'", listed[1])) == named


def test_a_removal_that_stops_halfway_leaves_no_details_of_what_is_gone(queue: Queue, redis: Redis) -> None:
    """A worker that registers the channel again would keep them for ever."""
    for number in range(250):
        queue.enqueue("room", f"m{number}", due="+60000")
    left, *_ = REMOVE.call(redis, queue.prefix, queue.now, 1)
    assert left == 1
    assert (redis.zcard(f"{queue.prefix}scheduled"), redis.hlen(f"{queue.prefix}details")) == (50, 50)
