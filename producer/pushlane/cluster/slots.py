"""Which primary of a cluster holds which slot, as far as is known, and whether a call that failed is tried again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import redis
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, TryAgainError

from pushlane.address import Node

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SLOTS: Final = 16_384
WAIT_S: Final = 1.0
"""How long a call waits for a slot that is being moved, or for a new primary."""
PAUSE_S: Final = 0.05
_WAITS: Final = {
    AskError: "it is being moved to another node",
    TryAgainError: "it is being moved to another node",
    ClusterDownError: "the cluster has no primary for it",
    redis.exceptions.ReadOnlyError: "its node is no longer the primary",
    redis.exceptions.MasterDownError: "its node has lost its primary",
}
"""Answers after which nothing was done, and the same call may soon succeed."""
_FINAL: Final = (redis.AuthenticationError, redis.exceptions.AuthorizationError)
_SCRIPTS: Final = ("EVALSHA", "EVAL")


def first_key(command: Sequence[Any]) -> bytes:
    """The key that decides where a command goes: it is behind the name, or behind a script and the number of keys."""
    key = command[3] if command[0] in _SCRIPTS else command[1]
    return key if isinstance(key, bytes) else str(key).encode()


class Slots:
    """The map, which is out of date as soon as a node does not answer, or answers that it does not hold a slot."""

    def __init__(self, seeds: Sequence[Node]) -> None:
        self._seeds = tuple(seeds)
        self._owners: list[Node | None] = [None] * SLOTS
        self._known: tuple[Node, ...] = ()
        self.stale = True

    def owner(self, key: bytes) -> Node:
        """The primary that holds the key. Raises redis.ConnectionError if no node has named one."""
        node = self._owners[key_slot(key)]
        if node is None:
            raise redis.ConnectionError("a part of the Redis Cluster has no primary")
        return node

    @property
    def primaries(self) -> list[Node]:
        """Those that hold slots."""
        return sorted({node for node in self._owners if node is not None})

    def by_owner(self, commands: Sequence[Sequence[Any]]) -> Mapping[Node, list[int]]:
        """The indices of the commands that each primary gets. Raises like ``owner``."""
        indices: dict[Node, list[int]] = {}
        for index, command in enumerate(commands):
            indices.setdefault(self.owner(first_key(command)), []).append(index)
        return indices

    def next_to_ask(self) -> Iterator[Node]:
        """Each node that may know the map, also replicas, in turn: one may hang, and one may have been cut off."""
        for node in dict.fromkeys((*self._known, *self._seeds)):
            self._known = (*(one for one in self._known if one != node), node)
            yield node

    def read(self, asked: Node, ranges: Sequence[Any]) -> None:
        """Takes over the reply to CLUSTER SLOTS: ``[first, last, primary, replica, …]`` for each range."""
        owners: list[Node | None] = [None] * SLOTS
        listed: dict[Node, None] = {}
        for first, last, *nodes in ranges:
            primary, *replicas = (_node(node, asked) for node in nodes)
            owners[first : last + 1] = [primary] * (last + 1 - first)
            listed |= dict.fromkeys([primary, *replicas])
        kept = [node for node in self._known if node in listed]
        self._known = (*(node for node in listed if node not in kept), *kept)
        self._owners, self.stale = owners, False

    def moved(self, error: MovedError) -> None:
        """Takes over what a node has said of one slot, which is newer than the map."""
        self._owners[error.slot_id] = Node(error.host, error.port)


def raise_if_elsewhere(replies: Sequence[Any]) -> None:
    """Raises the first error, if any, after which the commands have to be sent again: none of them counts by itself."""
    for reply in replies:
        if isinstance(reply, Exception) and isinstance(reply, tuple(_WAITS)):
            raise reply


class Attempts:
    """The attempts of one call."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._until = time.monotonic() + WAIT_S

    def pause_after(self, error: BaseException) -> float:
        """Seconds until the next attempt. Raises the error, or one that explains it, if there is none."""
        if isinstance(error, MovedError) and time.monotonic() < self._until:
            self._slots.moved(error)
            return 0.0
        why = next((words for kind, words in _WAITS.items() if isinstance(error, kind)), None)
        if isinstance(error, _FINAL) or (why is None and isinstance(error, redis.ResponseError)):
            raise error
        self._slots.stale = True
        if (why or isinstance(error, redis.ConnectionError)) and time.monotonic() < self._until:
            return PAUSE_S
        if why:
            raise redis.ConnectionError(f"a part of the Redis Cluster is unavailable: {why}") from error
        raise error


def _node(listed: Sequence[Any], asked: Node) -> Node:
    """A node that does not know its own host is the one that was asked."""
    host, port = listed[0], listed[1]
    text = host.decode() if isinstance(host, bytes) else host
    return Node(text if text and text != "?" else asked.host, int(port))
