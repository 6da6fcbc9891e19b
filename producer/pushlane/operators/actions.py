"""What operators do with a channel: pause it, skip a blocking message, replay and purge dead letters, remove it.

Each action is an atomic script. Replaying many dead letters takes several calls that share a run: a zset of the ids by
acceptance number, so that they return in their old order, in whatever order they were found. If a run is interrupted,
the remaining ones stay dead letters.
"""

import contextlib
import copy
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Literal, Self, cast

import redis

from pushlane.errors import UnknownChannel
from pushlane.keys import BELL, CHANNELS, channel_prefix
from pushlane.message import check_channel_name
from pushlane.operators.audit import Audit
from pushlane.operators.inspection import TIMEOUT_S, Inspector
from pushlane.operators.messages import Payload, read_payload
from pushlane.receipt import CancelResult
from pushlane.scripts import UNREGISTERED, Script

RUN_KEPT_S: Final = 3600
"""An abandoned run is deleted after this time."""
PURGED_AT_ONCE: Final = 200
"""The maximum that ``lua/purge.lua`` takes."""

REFUSED: Final = -1
"""How ``lua/remove.lua`` says that the channel has messages or dead letters."""
_REPLAY: Final = Script("replay")

SkipResult = Literal["skipped", "in_flight", "unreadable", "not_blocked"]


@dataclass(frozen=True, slots=True)
class Skipped:
    """The result of a skip; ``message_id`` is the former head, now a dead letter."""

    result: SkipResult
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Removal:
    """The result of a removal: how many messages and dead letters the channel had, or still has if it was refused.

    ``served``: a worker had it in its settings less than a minute ago; if it is still running, it registers it again.
    """

    removed: bool
    messages: int
    dead_letters: int
    served: bool


class Operator(Inspector):
    """An inspector that also changes things.

    Its own methods raise UnknownChannel when the channel is not registered, and InvalidMessage for an invalid channel
    name. Each act is in the audit.

    Args:
        by: Who acts, as the audit has it.
    """

    def __init__(self, redis_url: str, *, by: str, timeout: float = TIMEOUT_S) -> None:
        super().__init__(redis_url, timeout=timeout)
        self.audit = Audit(self.redis, by)

    def named(self, by: str) -> "Operator":
        """The same operator, with the same connections, for somebody else."""
        other = copy.copy(self)
        other.audit = Audit(self.redis, by)
        return other

    def pause(self, channel: str) -> bool:
        """Starts no more pushes of the channel until it is resumed; returns False if it was already paused."""
        self.require(channel)
        with self.audit.act("pause", channel) as act:
            changed = self._set_paused(channel, 1)
            act.result = "paused" if changed else "was already paused"
        return changed

    def resume(self, channel: str) -> bool:
        """Ends the pause, so that only the gate decides; returns whether the channel was paused."""
        self.require(channel)
        with self.audit.act("resume", channel) as act:
            changed = self._set_paused(channel, 0)
            act.result = "resumed" if changed else "was not paused"
        return changed

    def skip(self, channel: str, conversation: str) -> Skipped:
        """Sends the head of a blocked conversation to the dead letters, as ``exhausted``."""
        self.require(channel)
        with self.audit.act("skip", channel, conversation) as act:
            result, *message_id = (word.decode() for word in self._call("skip", channel, conversation))
            act.result = " ".join((result, *message_id))
        return Skipped(cast("SkipResult", result), *message_id)

    def replay(self, channel: str) -> "ReplayRun":
        """Starts a run that puts dead letters back into the queue."""
        self.require(channel)
        return ReplayRun(self.redis, self.audit, channel)

    def purge(self, channel: str, ids: Iterable[str]) -> int:
        """Deletes the content of these dead letters; returns how many of the ids were dead letters."""
        self.require(channel)
        purged, left = 0, iter(ids)
        page = list(islice(left, PURGED_AT_ONCE))
        with self.audit.act("purge", channel, page[0] if len(page) == 1 else "dead letters") as act:
            act.result = "0 purged"
            while page:
                purged += int(self._call("purge", channel, *page))
                act.result = f"{purged} purged"
                page = list(islice(left, PURGED_AT_ONCE))
        return purged

    def cancel(self, channel: str, message_id: str) -> CancelResult:
        """Takes the message out of the queue, if it is still there; like ``Producer.cancel``."""
        self.require(channel)
        with self.audit.act("cancel", channel, message_id) as act:
            act.result = self._call("cancel", channel, message_id).decode()
        return cast("CancelResult", act.result)

    def show_text(self, channel: str, message_id: str) -> Payload | None:
        """What a message says that is queued or dead; None if it is neither."""
        self.require(channel)
        payload = read_payload(self.redis, channel, message_id)
        if payload is not None:
            self.audit.note("show text", channel, message_id, "shown")
        return payload

    def remove(self, channel: str, *, force: bool = False) -> Removal:
        """Removes everything of the channel except records that expire by themselves.

        Refused while it has messages or dead letters, unless ``force`` deletes them. Enqueueing fails from the first
        call on. An interrupted removal can be repeated.
        """
        check_channel_name(channel)
        with self.audit.act("remove", channel, "with what it holds" if force else "if it is empty") as act:
            reply = first = self._remove(channel, force)
            while reply[0] > 0:
                reply = self._remove(channel, force)
            removal = Removal(first[0] >= 0, first[1], first[2], bool(first[3]))
            had = f"{removal.messages} messages, {removal.dead_letters} dead letters"
            act.result = f"removed with {had}" if removal.removed else f"refused: it has {had}"
        return removal

    def _remove(self, channel: str, force: bool) -> list[int]:  # noqa: FBT001 # the public method takes it by name
        reply: list[int] = self._call("remove", channel, int(force))
        if reply[0] != REFUSED:
            self.redis.srem(CHANNELS, channel)
            self.redis.zrem(BELL, channel)
        if reply[0] == UNREGISTERED:
            raise UnknownChannel(channel)
        return reply

    def _set_paused(self, channel: str, paused: int) -> bool:
        changed = self._call("pause", channel, paused)
        if changed == UNREGISTERED:
            raise UnknownChannel(channel)
        return bool(changed)

    def _call(self, script: str, channel: str, *arguments: str | int) -> Any:  # noqa: ANN401 - a number or a flat array
        return Script(script).call(self.redis, channel_prefix(check_channel_name(channel)), "", *arguments)


@dataclass(slots=True)
class ReplayRun:
    """Gathers dead letters, then puts them back oldest first: a context manager that deletes its key at the end.

    Attributes:
        gathered: How many were added.
        replayed: How many are queued again.
        left: How many remain after the last step.
        full: Whether they remain because the channel is full.
    """

    _redis: Any
    _audit: Audit
    _channel: str
    _run: str = field(default_factory=lambda: secrets.token_hex(8))
    _only: str = ""
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
                batch.zadd(self._key, sequences).expire(self._key, RUN_KEPT_S).zcard(self._key)
                *_, self.gathered = batch.execute()
            self._only = next(iter(sequences)) if self.gathered == 1 else ""
            self.left = self.gathered

    def steps(self) -> Iterator[int]:
        """Puts back the added dead letters; yields after each call how many left the run."""
        with self._audit.act("replay", self._channel, self._only or f"{self.gathered} dead letters") as act:
            act.result = "0 queued again"
            while self.left and not self.full:
                reply = _REPLAY.call(self._redis, channel_prefix(self._channel), "", self._run)
                if reply[0] == UNREGISTERED:
                    raise UnknownChannel(self._channel)
                before = self.left
                self.replayed += reply[0]
                self.left, self.full = reply[1], bool(reply[2])
                act.result = f"{self.replayed} queued again{', the channel is full' if self.full else ''}"
                yield before - self.left

    @property
    def _key(self) -> str:
        return f"{channel_prefix(self._channel)}replay:{self._run}"
