"""What a cluster's client knows of its nodes, and which calls it tries again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from pushlane.address import Node
from pushlane.cluster.slots import PAUSE_S, Attempts, Slots, first_key, is_passing

if TYPE_CHECKING:
    from collections.abc import Callable

A, B, C = Node("a", 1), Node("b", 2), Node("c", 3)
KEY = b"pushlane:1:{support}:channel"
SLOT = key_slot(KEY)
HALVES: list[Any] = [[0, 8191, [b"a", 1, b"id"], [b"d", 4, b"id"]], [8192, 16383, [b"b", 2, b"id"]]]


@pytest.fixture
def known() -> Slots:
    """The map of a cluster of two primaries."""
    slots = Slots()
    slots.read(A, HALVES)
    return slots


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("HGET", "k", "field"), b"k"),
        (("BZPOPMIN", b"k", 1), b"k"),
        (("EVALSHA", "sha", 1, "k", "argument"), b"k"),
        (("EVAL", "text", 2, "k", "l"), b"k"),
        (("XREAD", b"BLOCK", b"1000", b"STREAMS", b"k", b"0"), b"k"),
    ],
)
def test_a_command_goes_where_its_first_key_is(command: tuple[object, ...], key: bytes) -> None:
    """That of a script is behind the number of its keys, that of XREAD behind its options."""
    assert first_key(command) == key


def test_each_slot_has_the_primary_that_the_reply_names(known: Slots) -> None:
    """And the commands of a pipeline are sorted by it."""
    low = next(f"k{n}" for n in range(100) if key_slot(f"k{n}".encode()) < 8192)
    high = next(f"k{n}" for n in range(100) if key_slot(f"k{n}".encode()) >= 8192)
    assert (known.owner(low.encode()), known.owner(high.encode())) == (A, B)
    assert known.primaries == [A, B]
    assert known.by_owner({3: ("GET", low), 4: ("GET", high), 6: ("DEL", low)}) == {A: [3, 6], B: [4]}


def test_a_slot_without_a_primary_says_so() -> None:
    """As long as the cluster is not whole."""
    slots = Slots()
    slots.read(A, [HALVES[0]])
    missing = next(f"k{n}".encode() for n in range(100) if key_slot(f"k{n}".encode()) >= 8192)
    with pytest.raises(redis.ConnectionError, match="a part of the Redis Cluster has no primary"):
        slots.owner(missing)


@pytest.mark.parametrize("host", [b"", None, b"?"])
def test_a_node_that_does_not_know_its_host_is_the_one_that_was_asked(host: bytes | None) -> None:
    """As a cluster of one node, or a node that has met no other one."""
    slots = Slots()
    slots.read(C, [[0, 16383, [host, 3, b"id"]]])
    assert slots.primaries == [C]


def test_a_slot_that_has_moved_is_tried_at_once_at_its_new_node(known: Slots) -> None:
    """The answer itself names the node."""
    assert Attempts(known).pause_after(MovedError(f"{SLOT} c:3")) == 0
    assert known.owner(KEY) == C
    assert not known.stale


def test_two_nodes_that_name_each_other_are_not_asked_without_a_pause(
    known: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor for ever."""
    attempts = Attempts(known)
    pauses = [attempts.pause_after(MovedError(f"{SLOT} {host}")) for host in ("c:3", "a:1", "c:3")]
    assert pauses == [0, PAUSE_S, PAUSE_S]
    monkeypatch.setattr("pushlane.cluster.slots.time.monotonic", lambda: attempts._until + 1)
    with pytest.raises(redis.ConnectionError, match="it is being moved"):
        attempts.pause_after(MovedError(f"{SLOT} a:1"))


def test_a_slot_that_has_moved_to_a_node_without_a_host_is_looked_up(known: Slots) -> None:
    """The answer then means the node that gave it, which the map knows by its name."""
    assert Attempts(known).pause_after(MovedError(f"{SLOT} :3")) == 0
    assert known.stale


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: AskError(f"{SLOT} c:3"), "it is being moved to another node"),
        (TryAgainError, "it is being moved to another node"),
        (lambda: ClusterDownError("The cluster is down"), "the cluster has no primary for it"),
        (lambda: MasterDownError("a replica"), "the cluster has no primary for it"),
        (lambda: ReadOnlyError("a replica"), "its node takes no writes: a replica$"),
        (lambda: ReadOnlyError("NOREPLICAS Not enough"), "its node takes no writes: NOREPLICAS Not enough$"),
    ],
)
def test_a_slot_that_is_not_served_is_waited_for_and_then_explained(
    known: Slots, make: Callable[[], Exception], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ASK is not followed: the other node has only a part of a channel's keys."""
    attempts = Attempts(known)
    assert attempts.pause_after(make()) == PAUSE_S
    assert known.stale
    assert known.owner(KEY) in {A, B}
    monkeypatch.setattr("pushlane.cluster.slots.time.monotonic", lambda: attempts._until + 1)
    with pytest.raises(redis.ConnectionError, match=f"a part of the Redis Cluster is unavailable: {why}"):
        attempts.pause_after(make())


def test_a_node_that_refuses_connections_may_soon_have_a_successor(known: Slots) -> None:
    """The map is read again before each attempt."""
    assert Attempts(known).pause_after(redis.ConnectionError("refused")) == PAUSE_S
    assert known.stale


@pytest.mark.parametrize(
    ("error", "stale"),
    [
        (redis.TimeoutError("hangs"), True),  # whoever called has waited long enough
        (RuntimeError("uvloop"), True),
        (KeyboardInterrupt(), True),
        (ResponseError("WRONGTYPE"), False),
        (redis.AuthenticationError("WRONGPASS"), False),
    ],
    ids=repr,
)
def test_what_another_attempt_does_not_change_is_raised(known: Slots, error: BaseException, stale: bool) -> None:  # noqa: FBT001 # a parameter
    """But a node that has not answered may be gone, so that the next call looks first."""
    with pytest.raises(type(error)):
        Attempts(known).pause_after(error)
    assert known.stale is stale


@pytest.mark.parametrize(
    ("reply", "passing"),
    [
        (None, False),
        (b"MOVED", False),
        (ResponseError("WRONGTYPE"), False),
        (redis.AuthenticationError("WRONGPASS"), False),
        (redis.TimeoutError("hangs"), False),
        (MovedError(f"{SLOT} c:3"), True),
        (redis.ConnectionError("refused"), True),
    ],
    ids=repr,
)
def test_only_some_errors_pass(reply: object, passing: bool) -> None:  # noqa: FBT001 # a parameter
    """Of a pipeline, only such commands are sent again."""
    assert is_passing(reply) is passing
