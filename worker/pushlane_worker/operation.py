"""What operators do to a channel: pause it, skip what blocks a conversation, replay and purge dead letters, remove it.

Each is a script that does it whole or not at all. Replaying many takes several calls, which share a run: a zset of the
ids by acceptance number, so that they come back in their old order whatever order they were found in. What a run that
broke off has not replayed yet stays a dead letter.
"""

import contextlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self, cast

import redis

from pushlane.clients import connect
from pushlane.errors import UnknownChannel
from pushlane.keys import BELL, CHANNELS, channel_prefix
from pushlane.message import check_channel_name
from pushlane.scripts import source
from pushlane_worker.inspection import TIMEOUT_S
from pushlane_worker.store import UNREGISTERED, WORKER

RUN_KEPT_S: Final = 3600
"""A run that nobody goes on with is forgotten after this."""
PURGED_AT_ONCE: Final = 200
"""What ``lua/purge.lua`` takes."""

SkipResult = Literal["skipped", "in_flight", "unreadable", "not_blocked"]


@dataclass(frozen=True, slots=True)
class Skipped:
    """What came of a skip; ``message_id`` is the head that is a dead letter now."""

    result: SkipResult
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Removal:
    """What came of a removal: how many messages and dead letters the channel had, or has if it was refused for them.

    ``served``: a worker had it in its settings less than a minute ago; one that still runs registers it again.
    """

    removed: bool
    messages: int
    dead_letters: int
    served: bool


class Operator:
    """Writes on a client of its own, as a context manager; each answer within ``timeout`` or a redis.RedisError.

    Its methods raise UnknownChannel when nobody has registered the channel, and InvalidMessage for a name that can be
    none.

    Raises:
        ValueError: The address is invalid.
    """

    def __init__(self, redis_url: str, *, timeout: float = TIMEOUT_S) -> None:
        self._redis: Any = connect(redis_url, timeout=timeout)
        names = ("pause", "skip", "replay", "purge", "remove")
        self._scripts = {name: self._redis.register_script(source(name, WORKER)) for name in names}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._redis.close()

    def pause(self, channel: str) -> bool:
        """No more pushes of the channel begin until it is resumed; whether it was not paused already."""
        return self._set_paused(channel, 1)

    def resume(self, channel: str) -> bool:
        """The channel goes on as its gate says; whether it was paused."""
        return self._set_paused(channel, 0)

    def skip(self, channel: str, conversation: str) -> Skipped:
        """Sends the head of a blocked conversation to the dead letters, as ``exhausted``."""
        self._require(channel)
        result, *message_id = (word.decode() for word in self._call("skip", channel, conversation))
        return Skipped(cast("SkipResult", result), *message_id)

    def replay(self, channel: str) -> "ReplayRun":
        """A run that puts dead letters back into the queue."""
        self._require(channel)
        return ReplayRun(self._redis, self._scripts["replay"], channel)

    def purge(self, channel: str, ids: Sequence[str]) -> int:
        """Forgets what these dead letters say; how many of the ids were dead letters."""
        self._require(channel)
        pages = (ids[start : start + PURGED_AT_ONCE] for start in range(0, len(ids), PURGED_AT_ONCE))
        return sum(int(self._call("purge", channel, *page)) for page in pages)

    def remove(self, channel: str, *, force: bool = False) -> Removal:
        """Leaves nothing of the channel but records that expire by themselves.

        Refused while it has messages or dead letters; with ``force`` they are forgotten. Nobody can enqueue from the
        first moment on. One that broke off may be repeated.
        """
        reply = first = self._remove(channel, force)
        while reply[0] > 0:
            reply = self._remove(channel, force)
        return Removal(first[0] >= 0, first[1], first[2], bool(first[3]))

    def _remove(self, channel: str, force: bool) -> list[int]:  # noqa: FBT001 # said by name one call before
        keys = [channel_prefix(check_channel_name(channel)), BELL, CHANNELS]
        reply: list[int] = self._scripts["remove"](keys=keys, args=["", int(force)])
        if reply[0] == UNREGISTERED:
            raise UnknownChannel(channel)
        return reply

    def _set_paused(self, channel: str, paused: int) -> bool:
        changed = self._call("pause", channel, paused)
        if changed == UNREGISTERED:
            raise UnknownChannel(channel)
        return bool(changed)

    def _require(self, channel: str) -> None:
        if not self._redis.hexists(f"{channel_prefix(check_channel_name(channel))}channel", "kind"):
            raise UnknownChannel(channel)

    def _call(self, script: str, channel: str, *arguments: str | int) -> Any:  # noqa: ANN401 - a number or a flat array
        keys = [channel_prefix(check_channel_name(channel)), BELL]
        return self._scripts[script](keys=keys, args=["", *arguments])


@dataclass(slots=True)
class ReplayRun:
    """Dead letters that are gathered first and then put back, oldest first: a context manager that leaves no trace.

    Attributes:
        gathered: How many were added.
        replayed: How many are queued again.
        left: How many are not, after the last step.
        full: Whether that is because the channel takes no more.
    """

    _redis: Any
    _script: Any
    _channel: str
    _run: str = field(default_factory=lambda: secrets.token_hex(8))
    gathered: int = 0
    replayed: int = 0
    left: int = 0
    full: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(redis.RedisError):
            self._redis.unlink(self._key)

    def add(self, sequences: Mapping[str, int]) -> None:
        """Adds dead letters by their ids, each with its acceptance number."""
        if sequences:
            with self._redis.pipeline(transaction=True) as batch:
                added, _ = batch.zadd(self._key, sequences).expire(self._key, RUN_KEPT_S).execute()
            self.gathered += added
            self.left = self.gathered

    def steps(self) -> Iterator[int]:
        """Puts back what was added; gives after each call how many it took out of the run."""
        while self.left and not self.full:
            reply = self._script(keys=[channel_prefix(self._channel), BELL], args=["", self._run])
            if reply[0] == UNREGISTERED:
                raise UnknownChannel(self._channel)
            before = self.left
            self.replayed += reply[0]
            self.left, self.full = reply[1], bool(reply[2])
            yield before - self.left

    @property
    def _key(self) -> str:
        return f"{channel_prefix(self._channel)}replay:{self._run}"
