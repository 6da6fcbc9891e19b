"""A channel whose gate is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.queue import Queue

if TYPE_CHECKING:
    from redis import Redis
    from support.queue import Turn

    from pushlane_worker.queue.turns import Claim


CAP = 64


def channel_of(redis: Redis, count: int, **fields: int) -> Queue:
    """A channel at full speed, with one message in each of so many rooms."""
    queue = Queue(redis, "support", **fields)
    redis.hset(queue.prefix + "gate", mapping={"state": "open", "cap": CAP})
    for n in range(count):
        queue.enqueue(f"r{n}", f"m{n}")
    return queue


def probe_of(turn: Turn) -> Claim:
    """The one claim of a turn, which is a probe."""
    (claim,) = turn.claims
    assert claim.probe
    return claim
