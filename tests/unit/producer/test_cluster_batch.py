"""A pipeline of a cluster: what each node gets, what is sent again, and what becomes of the replies."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from redis.crc import key_slot
from redis.exceptions import MovedError, ResponseError

from pushlane.address import Node
from pushlane.cluster.batch import Batch
from pushlane.cluster.slots import Slots

A, B, C = Node("a", 1), Node("b", 2), Node("c", 3)
FIRST: list[Any] = [0, 8191, [b"a", 1, b"id"]]
SECOND: list[Any] = [8192, 16383, [b"b", 2, b"id"]]
LOW = next(f"k{n}" for n in range(100) if key_slot(f"k{n}".encode()) < 8192)
HIGH = next(f"k{n}" for n in range(100) if key_slot(f"k{n}".encode()) >= 8192)
REFUSED = redis.ConnectionError("refused")


class Filled:
    """A node's pipeline that keeps what it gets."""

    def __init__(self) -> None:
        self.commands: list[tuple[Any, Any]] = []

    def execute_command(self, *words: object, **options: object) -> None:
        """As redis-py's."""
        self.commands.append((words, options))


@pytest.fixture
def slots() -> Slots:
    """The map of a cluster of two primaries."""
    slots = Slots()
    slots.read(A, [FIRST, SECOND])
    return slots


@pytest.fixture
def batch(slots: Slots) -> Batch:
    """Two commands for the first primary, and between them one for the second."""
    return Batch(slots, [(("GET", LOW), {}), (("GET", HIGH), {"keys": 1}), (("DEL", LOW), {})])


def test_each_node_gets_its_own_commands(batch: Batch) -> None:
    """In their order, with redis-py's options."""
    assert batch.parts() == {A: [0, 2], B: [1]}
    filled = Filled()
    batch.fill(filled, [1])
    assert filled.commands == [(("GET", HIGH), {"keys": 1})]


def test_replies_are_in_the_order_of_the_commands(batch: Batch) -> None:
    """Whichever node answers first. A refusal of a node is a reply like any other."""
    batch.parts()
    refusal = ResponseError("WRONGTYPE")
    batch.take([1], [refusal])
    batch.take([0, 2], [b"x", 1])
    batch.raise_if_open()
    assert batch.replies == [b"x", refusal, 1]
    assert batch.parts() == {}


def test_only_what_has_no_reply_is_sent_again(batch: Batch, slots: Slots) -> None:
    """The others were carried out. The node that has not answered may be gone, so the map is read again."""
    batch.parts()
    batch.take([1], [b"y"])
    batch.fail([0, 2], REFUSED)
    assert slots.stale
    with pytest.raises(redis.ConnectionError, match="refused"):
        batch.raise_if_open()
    assert batch.parts() == {A: [0, 2]}
    batch.take([0, 2], [b"x", 1])
    batch.raise_if_open()
    assert batch.replies == [b"x", b"y", 1]


def test_a_node_that_hangs_is_not_asked_again(batch: Batch) -> None:
    """The caller has waited long enough, and the commands may have been carried out."""
    batch.parts()
    batch.take([1], [b"y"])
    hangs = redis.TimeoutError("hangs")
    batch.fail([0, 2], hangs)
    batch.raise_if_open()
    assert batch.replies == [hangs, b"y", hangs]


def test_a_slot_that_has_moved_is_sent_to_its_new_node(batch: Batch) -> None:
    """The answer names it."""
    batch.parts()
    batch.take([0, 2], [b"x", 1])
    batch.take([1], [MovedError(f"{key_slot(HIGH.encode())} c:3")])
    with pytest.raises(MovedError):
        batch.raise_if_open()
    assert batch.parts() == {C: [1]}


def test_commands_without_a_primary_stay_open(slots: Slots) -> None:
    """The others are carried out meanwhile."""
    slots.read(A, [FIRST])
    batch = Batch(slots, [(("GET", LOW), {}), (("GET", HIGH), {})])
    assert batch.parts() == {A: [0]}
    batch.take([0], [b"x"])
    with pytest.raises(redis.ConnectionError, match="a part of the Redis Cluster has no primary") as caught:
        batch.raise_if_open()
    batch.give_up(caught.value)
    assert batch.replies == [b"x", caught.value]


def test_its_first_error_is_raised(batch: Batch) -> None:
    """Whatever it is: redis-py's own raises only answers of the server."""
    batch.parts()
    batch.take([0, 1, 2], [b"x", None, []])
    batch.raise_first()
    batch.take([1, 2], [REFUSED, ResponseError("WRONGTYPE")])
    with pytest.raises(redis.ConnectionError):
        batch.raise_first()
