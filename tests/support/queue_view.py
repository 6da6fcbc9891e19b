"""What a test sees of the queue's state in Redis, and may change behind the scripts' back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.queue_replies import scheduled_id, texts

from pushlane.enqueue_protocol import read_status
from pushlane.keys import BELL
from pushlane.message_record import DETAILS, FIELDS, Header, read_content, read_header, text_of
from pushlane.scripts import Script

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushlane.push_record import PushRecord


class QueueView:
    """The state of one channel; ``Queue`` drives it."""

    redis: Any
    channel: str
    prefix: str
    now: int
    messages: Mapping[str, tuple[str, bytes, bytes]]

    def status(self, message_id: str) -> tuple[Header, bool] | None:
        """A message's header, and whether a push of it is in flight; None when it is not known."""
        reply = self._status(message_id)
        return (read_header(*reply[:2]), reply[2] == 1) if reply else None

    def pushes(self, message_id: str) -> tuple[PushRecord, ...]:
        """A message's timeline."""
        told = read_status(self.channel, message_id, self._status(message_id))
        assert told is not None
        return told.pushes

    def record(self, message_id: str) -> bytes:
        """A message's whole record; empty when it is finished or there is none."""
        value: bytes | None = self.redis.get(f"{self.prefix}message:{message_id}")
        return value or b""

    def found(self, message_id: str) -> tuple[bytes, bytes]:
        """Record and details of a message, as ``status`` gives them; both empty when there is none."""
        record, details, *_ = self._status(message_id) or (b"", b"")
        return record, details

    def content(self, message_id: str) -> tuple[str, bytes, bytes]:
        """Conversation, address and body of a message; both of the latter are empty when it is finished."""
        return read_content(self.record(message_id) or self.found(message_id)[0])

    def header(self, message_id: str) -> Header:
        """What is stored of a message, without texts."""
        return read_header(*self.found(message_id))

    def field(self, message_id: str, name: str) -> bytes:
        """A field of the record or the details."""
        record, details = self.found(message_id)
        return bytes(record[FIELDS[name]] if name in FIELDS else details[DETAILS[name]])

    def overwrite(self, message_id: str, name: str, value: str) -> None:
        """Changes a field of the stored record or of the stored details."""
        if name in FIELDS:
            self.redis.setrange(f"{self.prefix}message:{message_id}", FIELDS[name].start, value)
            return
        details = bytearray(self.found(message_id)[1])
        details[DETAILS[name]] = value.encode()
        self.redis.hset(self.prefix + "details", message_id, bytes(details))
        self.overwrite(message_id, "mark", "d")

    def forget(self, message_id: str) -> None:
        """Lets the time of a finished message be over."""
        for key in self.redis.scan_iter(self.prefix + "tombstones:*"):
            self.redis.hdel(key, message_id)

    def detail(self, message_id: str) -> str:
        """Why a message is dead, in words."""
        return text_of(self.found(message_id)[1])

    def waiting(self, conversation: str) -> str:
        """The ids in a conversation's list, in one string."""
        listed: list[bytes] = self.redis.lrange(f"{self.prefix}conversation:{conversation}", 0, -1)
        return b" ".join(listed).decode()

    def places(self, conversation: str) -> list[str]:
        """Which of ready, delayed, leases and held hold the conversation."""
        names = ("ready", "delayed", "leases", "held")
        return [name for name in names if self.redis.zscore(self.prefix + name, conversation) is not None]

    def scheduled(self) -> list[str]:
        """The ids of what joins later, in the order in which it will."""
        members: list[bytes] = self.redis.zrange(self.prefix + "scheduled", 0, -1)
        return [scheduled_id(member.decode()) for member in members]

    def blocked(self) -> dict[str, tuple[int, str]]:
        """The conversations whose head is in trouble: since when, and why."""
        since: list[tuple[bytes, float]] = self.redis.zrange(self.prefix + "blocked", 0, -1, withscores=True)
        why = texts(self.redis.hgetall(self.prefix + "blocked_by"))
        assert {name.decode() for name, _ in since} == why.keys()
        return {name.decode(): (round(score), why[name.decode()]) for name, score in since}

    def gate(self) -> dict[str, str]:
        """The gate's record."""
        return texts(self.redis.hgetall(self.prefix + "gate"))

    def counters(self) -> dict[str, int]:
        """The channel's counters, and as ``dead`` the sum of those by reason and of the previous release's."""
        found = {name: int(value) for name, value in texts(self.redis.hgetall(self.prefix + "counters")).items()}
        return found | {"dead": sum(count for name, count in found.items() if name.startswith("dead"))}

    def recount(self) -> dict[str, int]:
        """The counters that the messages' records give."""
        states = [self.header(message_id).state for message_id in self.messages]
        counted = {name: states.count(name) for name in ("delivered", "dead")}
        waiting = sum(states.count(name) for name in ("queued", "scheduled", "held"))
        return {"accepted": len(states), "depth": waiting, **counted}

    def assert_counters(self) -> None:
        """Depth, accepted, delivered and dead are what a recount gives."""
        counters, recount = self.counters(), self.recount()
        assert {name: counters.get(name, 0) for name in recount} == recount

    def unknown(self) -> list[dict[str, str]]:
        """The listed pushes of unknown outcome."""
        return [texts(entry) for _, entry in self.redis.xrange(self.prefix + "unknown")]

    def rung(self) -> bool:
        """Whether the bell holds the channel; takes it out, as a dispatcher does."""
        return bool(self.redis.zrem(BELL, self.channel))

    def pending_ms(self) -> int | None:
        """When the ring was made that nobody answered yet."""
        value = self.redis.get(self.prefix + "pending")
        return None if value is None else int(value)

    def listeners(self) -> list[str]:
        """The drains that have a free place, or are taken to have one."""
        return [name.decode() for name in self.redis.zrange(self.prefix + "listeners", 0, -1)]

    def _status(self, message_id: str) -> Any:  # noqa: ANN401 # the same
        return Script("status").call(self.redis, self.prefix, self.now, message_id)
