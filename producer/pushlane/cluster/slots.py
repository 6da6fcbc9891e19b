"""Which primary of a cluster holds which slot, as far as is known, and whether a call that failed is tried again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import redis
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, TryAgainError

from pushlane.address import Node

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

Command = tuple["Sequence[Any]", "Mapping[str, Any]"]
"""A command's words, and redis-py's options for reading its reply."""
SLOTS: Final = 16_384
WAIT_S: Final = 1.0
"""How long a call waits for a slot that is being moved, or for a new primary."""
PAUSE_S: Final = 0.05
NO_PRIMARY: Final = "a part of the Redis Cluster has no primary"
_WAITS: Final = {
    AskError: "it is being moved to another node",
    TryAgainError: "it is being moved to another node",
    ClusterDownError: "the cluster has no primary for it",
    redis.exceptions.ReadOnlyError: "its node takes no writes: {}",
}
"""Answers after which nothing was done, and the same call may soon succeed."""
_SCRIPTS: Final = ("EVALSHA", "EVAL")


def first_key(command: Sequence[Any]) -> bytes:
    """The key that decides where a command goes.

    It is behind the name, behind a script and the number of keys, or behind the options of XREAD.
    """
    if command[0] in _SCRIPTS:
        key = command[3]
    elif command[0] == "XREAD":
        key = command[command.index(b"STREAMS") + 1]
    else:
        key = command[1]
    return key if isinstance(key, bytes) else str(key).encode()


class Slots:
    """The map, which is out of date as soon as a node does not answer, or answers that it does not hold a slot."""

    def __init__(self) -> None:
        self._owners: list[Node | None] = [None] * SLOTS
        self.stale = True

    def owner(self, key: bytes) -> Node:
        """The primary that holds the key. Raises redis.ConnectionError if no node has named one."""
        node = self._owners[key_slot(key)]
        if node is None:
            raise redis.ConnectionError(NO_PRIMARY)
        return node

    @property
    def primaries(self) -> list[Node]:
        """Those that hold slots."""
        return sorted({node for node in self._owners if node is not None})

    def by_owner(self, commands: Mapping[int, Sequence[Any]]) -> Mapping[Node, list[int]]:
        """The numbers of the commands that each primary gets; those whose slot has none are left out."""
        numbers: dict[Node, list[int]] = {}
        for number, command in commands.items():
            node = self._owners[key_slot(first_key(command))]
            if node is not None:
                numbers.setdefault(node, []).append(number)
        return numbers

    def by_primary(self, keys: Iterable[str]) -> Collection[Sequence[str]]:
        """The keys, those of each primary together, and together those that have none."""
        parts: dict[Node | None, list[str]] = {}
        for key in keys:
            parts.setdefault(self._owners[key_slot(key.encode())], []).append(key)
        return parts.values()

    def read(self, asked: Node, ranges: Sequence[Any]) -> Collection[Node]:
        """Takes over the reply to CLUSTER SLOTS: ``[first, last, primary, replica, …]`` for each range.

        Returns all nodes that it names, in its order.
        """
        owners: list[Node | None] = [None] * SLOTS
        listed: dict[Node, None] = {}
        for first, last, *nodes in ranges:
            primary, *replicas = (_node(node, asked) for node in nodes)
            owners[first : last + 1] = [primary] * (last + 1 - first)
            listed |= dict.fromkeys([primary, *replicas])
        self._owners, self.stale = owners, False
        return listed

    def moved(self, error: MovedError) -> None:
        """Takes over what a node has said of one slot, which is newer than the map."""
        if error.host:
            self._owners[error.slot_id] = Node(error.host, error.port)
        else:  # the node does not know its own host
            self.stale = True


class Attempts:
    """The attempts of one call, or of one pipeline."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._until = time.monotonic() + WAIT_S
        self._moved = False

    def pause_after(self, error: BaseException) -> float:
        """Seconds until the next attempt. Raises the error, or one that explains it, if there is none."""
        in_time = time.monotonic() < self._until
        if isinstance(error, MovedError) and in_time:
            self._slots.moved(error)
            # Two nodes may name each other for a moment.
            pause, self._moved = PAUSE_S if self._moved else 0.0, True
            return pause
        if not is_passing(error):
            self._slots.stale = self._slots.stale or not isinstance(
                error, redis.ResponseError | redis.AuthenticationError
            )
            raise error
        self._slots.stale = True
        if in_time:
            return PAUSE_S
        why = next((words for kind, words in _WAITS.items() if isinstance(error, kind)), None)
        if why is None:
            raise error
        raise redis.ConnectionError(f"a part of the Redis Cluster is unavailable: {why.format(error)}")


def is_passing(reply: object) -> bool:
    """Whether a reply is an error after which the same call may soon succeed, perhaps on another node."""
    return isinstance(reply, (*_WAITS, redis.ConnectionError)) and not isinstance(reply, redis.AuthenticationError)


def _node(listed: Sequence[Any], asked: Node) -> Node:
    """A node that does not know its own host is the one that was asked."""
    host, port = listed[0], listed[1]
    text = host.decode() if isinstance(host, bytes) else host
    return Node(text if text and text != "?" else asked.host, int(port))
