"""A drain that stays for the next message of an empty channel, and what wakes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.queue import Queue

if TYPE_CHECKING:
    from redis import Redis

LISTEN_MS = 250


def test_a_drain_that_stays_listens_until_it_says_otherwise(redis: Redis) -> None:
    """It leaves with a turn that finds the channel empty, like any other."""
    queue = Queue(redis)
    assert not queue.turn(stays=True).leaves
    assert queue.listeners() == ["d"]
    assert queue.turn().leaves
    assert queue.listeners() == []


def test_no_drain_stays_for_what_is_due_later(redis: Redis) -> None:
    """Only a channel without waiting messages is worth it: for all others it is known when a drain is needed."""
    queue = Queue(redis)
    queue.enqueue("a", "a1", due="+1001")
    assert queue.turn(stays=True).leaves
    queue.enqueue("b", "b1")
    queue.pause()
    assert queue.turn(stays=True, drain="e").leaves


def test_a_message_wakes_one_listener_and_rings_for_nobody(redis: Redis) -> None:
    """There is one entry however many messages come before it is read, and it is gone before it could mislead."""
    queue = Queue(redis)
    queue.turn(stays=True)
    queue.enqueue("a", "a1")
    queue.enqueue("b", "b1")
    assert not queue.rung()
    assert redis.llen(queue.prefix + "wake") == 1
    assert 0 < redis.pttl(queue.prefix + "wake") <= LISTEN_MS


def test_a_turn_wakes_nobody(redis: Redis) -> None:
    """It would wake itself without end."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.turn(stays=True)
    queue.turn(stays=True)
    assert not redis.exists(queue.prefix + "wake")
