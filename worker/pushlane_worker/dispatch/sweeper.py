"""Sweeps each channel that has messages about once a second.

::

    for each group of channels one dispatcher of the fleet looks ──messages──▶ sweep ──more──▶ sweep again at once
                                                                 ──none──▶ nothing, but a sweep every half minute

So an idle channel costs two reads per second, however many workers there are. What a sweep does for an idle channel
(such as opening its gate in time) can wait that long. A channel that Redis has lost has no depth and is registered
again at once.
"""

import asyncio
import random
import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

from pushlane.keys import CONSUMERS, channel_prefix, looked_key
from pushlane.message_record import REASONS
from pushlane.outcome import Outcome
from pushlane.scripts import Script
from pushlane_worker.channels.channel import Channel
from pushlane_worker.dispatch.consumers import UnconsumedQueues
from pushlane_worker.dispatch.supervisor import Supervisor
from pushlane_worker.drains.drain import log_dead_letters
from pushlane_worker.queue.outcome import PushResult
from pushlane_worker.queue.retry import next_step
from pushlane_worker.queue.store import WORKER, Store, log_gate
from pushlane_worker.queue.turns import ONLY_SETTLE, Claim, Settled, Settlement, Turns, read_claim
from pushlane_worker.telemetry import logger

LOOK_EACH_S = 0.95
JITTER_S = 0.1
LOOK_VALID_MS = 900
"""How long the other dispatchers skip a group, so that lost work is repaired within about a second."""
GROUP = 200
"""How many channels one look reads, with two short commands for each."""
IDLE_MS = 30_000
"""The time between sweeps of an idle channel, with a jitter of a third."""
AT_ONCE = 8
_LOOK = Script("look", WORKER)

LOST = PushResult(Outcome.UNKNOWN, "its lease expired: the worker died, froze, or lost Redis for too long")


@dataclass(frozen=True, slots=True)
class _Group:
    """Channels that are looked at together. Dispatchers with the same channels share the group's key."""

    names: tuple[str, ...]
    looked: str


def _groups(names: list[str]) -> Iterator[_Group]:
    for first in range(0, len(names), GROUP):
        part = tuple(names[first : first + GROUP])
        yield _Group(part, looked_key(sha256(" ".join(part).encode()).hexdigest()[:16]))


class Sweeper:
    """A dispatcher's share of the sweeps: its channels, with their Celery queues, in the event loop of ``store``."""

    def __init__(
        self, store: Store, channels: Mapping[str, Channel], queues: Mapping[str, str], lease_s: float
    ) -> None:
        self._store = store
        self._channels = channels
        self._queues = queues
        self._lease_s = lease_s
        self._name = secrets.token_hex(8)
        self._sweeping: set[str] = set()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._unconsumed = UnconsumedQueues()

    async def run(self, supervisor: Supervisor) -> None:
        """Looks and sweeps until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for group in _groups(sorted(self._channels)):
                tasks.create_task(supervisor.keep("look", partial(self._look, group, supervisor, tasks)))

    async def _look(self, group: _Group, supervisor: Supervisor, tasks: asyncio.TaskGroup) -> None:
        now: int = await _LOOK.call_async(self._store.redis, group.looked, "", LOOK_VALID_MS)
        consumed, states = await self._states(group) if now else (set(), [])
        # A look that was cancelled may still return (see Supervisor); the group then takes no more tasks.
        if now and not supervisor.ended:
            self._unconsumed.look_at_enqueue(consumed)
            for name, depth, swept_ms in states:
                self._unconsumed.look(name, self._queues[name], int(depth or 0), consumed)
                # Channels that started together are spread, as the looks' jitter spreads the fleet.
                due = abs(now - swept_ms) > IDLE_MS * (2 + 2 * random.random()) / 3  # noqa: S311 # only spreads sweeps
                if (depth != b"0" or due) and name not in self._sweeping:
                    self._sweeping.add(name)
                    tasks.create_task(self._sweep_all(name, supervisor))
        # Whoever was too late tries at any time: with a period of its own it would stay too late for minutes, and would
        # not notice that a queue which it has reported is consumed again.
        await asyncio.sleep(LOOK_EACH_S + JITTER_S * random.random() if now else LOOK_EACH_S * random.random())  # noqa: S311 # the same

    async def _states(self, group: _Group) -> tuple[set[str], list[tuple[str, bytes | None, int]]]:
        """The queues that workers consume; each channel's depth, None if Redis has lost it, and last sweep in ms."""
        batch: Any
        async with self._store.redis.pipeline(transaction=False) as batch:
            # Removes nothing, but as a write it is refused by a server that is no longer the primary.
            batch.zrem(CONSUMERS, "").zrange(CONSUMERS, 0, -1)
            for prefix in map(channel_prefix, group.names):
                batch.hget(f"{prefix}counters", "depth").hget(f"{prefix}sweep", "at")
            refused, queues, *states = await batch.execute(raise_on_error=False)
        if isinstance(refused, Exception):
            raise refused
        # In a cluster, the nodes of other channels may be away.
        triples = zip(group.names, states[::2], states[1::2], strict=True)
        read = [(name, depth, int(at or 0)) for name, depth, at in triples if not isinstance(at, Exception)]
        return {queue.decode() for queue in queues}, read

    async def _sweep_all(self, channel: str, supervisor: Supervisor) -> None:
        """Sweeps until nothing is left; after an error the next look starts again."""
        try:
            await supervisor.tried("sweep", partial(self._sweep, channel, supervisor))
        finally:
            self._sweeping.discard(channel)

    async def _sweep(self, channel: str, supervisor: Supervisor) -> None:
        more = True
        while more and not supervisor.ended:
            async with self._slots:
                more, expired = await self._sweep_once(channel)
                if expired:
                    await self._lose(channel, expired)

    async def _sweep_once(self, channel: str) -> tuple[bool, list[Claim]]:
        """Whether there is more to do at once, and the expired leases, as claims with only headers."""
        reply = await self._store.call("sweep", channel, [self._name])
        if reply[0] < 0:
            return False, []
        more, expired, now_ms, died, change, _ = reply
        log_gate(channel, change)
        _log_died(channel, *died)
        return bool(more), [read_claim(lease, now_ms) for lease in expired]

    async def _lose(self, channel: str, expired: list[Claim]) -> None:
        turns = Turns(self._store, channel, self._lease_s, number=1)  # turn 0 would answer a ring
        lost = [_lost(claim, self._channels[channel]) for claim in expired]
        turn = await turns.take(ONLY_SETTLE, 0, lost)
        for settlement, settled in zip(lost, turn.settled, strict=True):
            if settled is Settled.CURRENT:
                log_dead_letters(channel, settlement)
        logger().warning("lease.expired", channel=channel, conversations=len(expired))


def _lost(claim: Claim, channel: Channel) -> Settlement:
    return Settlement(claim, LOST, next_step(LOST, claim.history(), channel.policy, random.random()), lost=True)  # noqa: S311 # only spreads retries


def _log_died(channel: str, unread: int, *died: bytes) -> None:
    """One line for each reason: ids and reasons alternate."""
    by_reason: defaultdict[str, list[str]] = defaultdict(list)
    for message_id, letter in zip(died[::2], died[1::2], strict=True):
        by_reason[REASONS[letter.decode()]].append(message_id.decode())
    more = {"unread": unread} if unread else {}
    for reason, ids in by_reason.items():
        logger().warning("messages.dead_lettered", channel=channel, message_ids=",".join(ids), reason=reason, **more)
