"""Reads a channel's state for the commands, without changing anything.

A channel may hold three million messages and 100,000 conversations, so the cost of a read is constant or, with paging,
proportional to its result; nothing here scans. An overview is one script, so its numbers are consistent.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

from pushlane.channel_record import LIMIT_FIELDS, read_limits
from pushlane.clients import connect
from pushlane.cluster.blocking import Cluster
from pushlane.enqueue_protocol import read_status
from pushlane.errors import UnknownChannel
from pushlane.keys import CHANNELS, CONSUMERS, WORKERS, channel_prefix
from pushlane.message import Limits, check_channel_name, is_channel_name
from pushlane.operators.blocked import Blocked, read_blocked
from pushlane.operators.dead_letters import DeadLetters
from pushlane.operators.decisions import read_unfed
from pushlane.operators.overview import Overview
from pushlane.operators.states import State, ask_each, is_away, read_states
from pushlane.receipt import MessageStatus
from pushlane.scripts import Script
from pushlane.service.redis_requirements import Finding, server_findings

TIMEOUT_S = 2.0
_THROUGHPUT, _STATUS = Script("throughput"), Script("status")


class Inspector:
    """Reads with its own client, as a context manager; a read slower than ``timeout`` raises a redis.RedisError.

    Raises:
        ValueError: The address is invalid.
        NewerChannel: By what reads a channel's record, if a newer release has written it.
    """

    def __init__(self, redis_url: str, *, timeout: float = TIMEOUT_S) -> None:
        # Any, because redis-py's types mix the replies of its blocking and its asyncio client.
        self.redis: Any = connect(redis_url, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.redis.close()

    def findings(self) -> list[Finding]:
        """Whether the server, or each primary of the cluster, is fit to hold a queue."""
        of_cluster = isinstance(self.redis, Cluster)
        servers = self.redis.primaries() if of_cluster else [self.redis]
        found = (finding for server in servers for finding in server_findings(server.info(), of_cluster=of_cluster))
        return list(dict.fromkeys(found))

    def channels(self) -> list[str]:
        """The registered channels, by name."""
        return read_channels(self.redis.smembers(CHANNELS))

    def strays(self) -> list[str]:
        """What is listed as a channel and cannot be one: somebody has added it by hand."""
        return sorted(name for name in _texts(self.redis.smembers(CHANNELS)) if not is_channel_name(name))

    def limits(self, channel: str) -> Limits | None:
        """The channel's limits for messages; None when it is not registered."""
        return read_limits(channel, self.redis.hmget(f"{_prefix(channel)}channel", LIMIT_FIELDS))

    def require(self, channel: str) -> Limits:
        """Like ``limits``, but raises UnknownChannel when it is not registered."""
        limits = self.limits(channel)
        if limits is None:
            raise UnknownChannel(channel)
        return limits

    def overview(self, channel: str) -> Overview | None:
        """The channel's current state; None when it is not registered."""
        state = self.states([channel])[channel]
        if isinstance(state, Exception):
            raise state
        return state

    def states(self, channels: Sequence[str]) -> dict[str, State]:
        """The states of many channels, in their order."""
        found = dict(read_states(self.redis, channels, self.consumed_queues()))
        return {channel: found[channel] for channel in channels}

    def throughput(self, channels: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """How many messages of each channel were delivered in each of the last 60 minutes, oldest first.

        Those of a node that is away are left out.
        """
        each = ask_each(self.redis, _THROUGHPUT, channels)
        return {channel: tuple(counts) for channel, counts in each if not isinstance(counts, Exception)}

    def workers(self) -> Counter[str]:
        """How many workers consume each Celery queue, as ``read_workers`` counts them."""
        return read_workers(self.redis.zrange(WORKERS, 0, -1), self.consumed_queues())

    def consumed_queues(self) -> set[str]:
        """The Celery queues that some worker consumes."""
        return {queue.decode() for queue in self.redis.zrange(CONSUMERS, 0, -1)}

    def count_unfed(self) -> int:
        """How many moderation decisions are not carried out yet, counted once per lane in which they wait."""
        return read_unfed(self.redis).decisions

    def status(self, channel: str, message_id: str) -> MessageStatus | None:
        """Where the message is; None if its id is unknown or its retention is over."""
        return read_status(channel, message_id, _STATUS.call(self.redis, _prefix(channel), "", message_id))

    def find(self, message_id: str, channels: Sequence[str]) -> list[str]:
        """Those of the channels that know a message with this id.

        Raises redis.RedisError if none does and a node is away, which may have it.
        """
        replies = dict(ask_each(self.redis, _STATUS, channels, message_id))
        found = [channel for channel, reply in replies.items() if reply and not isinstance(reply, Exception)]
        for reply in replies.values():
            if not found and is_away(reply):
                raise reply
        return sorted(found)

    def dead_letters(self, channel: str) -> DeadLetters:
        """The channel's dead letters, read lazily."""
        return DeadLetters(self.redis, channel)

    def blocked(self, channel: str, limit: int, start: int = 0) -> Iterator[Blocked]:
        """At most ``limit`` conversations that cannot move, longest blocked first, from place ``start`` on."""
        return read_blocked(self.redis, channel, limit, start)


def read_channels(listed: Iterable[bytes]) -> list[str]:
    """Those of the listed channels that can be one, by name. ``Inspector.strays`` has the others."""
    return sorted(filter(is_channel_name, _texts(listed)))


def read_workers(members: Iterable[bytes], consumed: Iterable[str]) -> Counter[str]:
    """How many of these workers, as they announce themselves, consume each Celery queue.

    Those of the previous release only announce their queues: a queue that nobody else consumes counts as having one.
    """
    named = (queue for member in members for queue in member.decode().partition(" ")[2].split(",") if queue)
    return Counter(named) | Counter(set(consumed))  # the larger count of each


def _texts(names: Iterable[bytes]) -> Iterator[str]:
    return (name.decode(errors="backslashreplace") for name in names)


def _prefix(channel: str) -> str:
    return channel_prefix(check_channel_name(channel))
