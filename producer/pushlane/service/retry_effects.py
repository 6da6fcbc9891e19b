"""Effects of moderation's decisions that nobody has applied yet: newly recorded ones, and those waiting in lanes.

::

    recorded (unfed) ──▶ done: acknowledged
        │
        └─ channel full or not registered ──▶ its lane ──▶ done, or given up when older than the retention

A callback applies the effects of its decisions at once. Workers apply what is still recorded after a few seconds, and
try the lanes every few seconds. A lane holds the effects that wait for one channel (``effects.lane_of``), in the order
of the decisions; while it is not empty, new ones join its end. So a channel that never appears blocks no other one and
costs one attempt at a time, however much waits for it.
"""

from __future__ import annotations

import json
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_json

from pushlane.keys import DECISIONS_PREFIX, POSTPONED, UNFED
from pushlane.scripts import Script
from pushlane.service import effects
from pushlane.service.effects import lane_of
from pushlane.service.logs import logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import redis.asyncio

    from pushlane.async_producer import AsyncProducer
    from pushlane.service.effects import Effect

REFEED_AFTER_MS: Final = 5000
"""How long a callback has to apply effects by itself; workers take over what is older."""
POSTPONED_MS: Final = 5000
"""How long until a lane is tried again."""
AT_ONCE: Final = 50
LANES_AT_ONCE: Final = 10
_POSTPONE, _FINISH_LANE, _WAITING = Script("postpone_effects"), Script("finish_lane"), Script("waiting")


async def feed(client: redis.asyncio.Redis, producer: AsyncProducer, decisions: Mapping[str, Sequence[Effect]]) -> None:
    """Applies effects of recorded decisions, and moves those that must wait to their lanes.

    Raises like ``effects.apply``.
    """
    left = await effects.apply(client, producer, decisions)
    if left:
        groups = [argument for key, rest in left.items() for argument in _by_lane(key, rest)]
        await _POSTPONE.call_async(client, DECISIONS_PREFIX, "", POSTPONED_MS, *groups)
    await _acknowledge(client, [key for key in decisions if key not in left])


def _by_lane(key: str, left: Sequence[Effect]) -> list[str | bytes]:
    arguments: list[str | bytes] = []
    for lane in dict.fromkeys(map(lane_of, left)):
        arguments += (key, lane, to_json([effect for effect in left if lane_of(effect) == lane]))
    return arguments


async def _acknowledge(client: redis.asyncio.Redis, keys: Sequence[str]) -> None:
    if keys:
        async with client.pipeline(transaction=True) as batch:
            batch.zrem(UNFED, *keys)
            batch.delete(*(f"{DECISIONS_PREFIX}effects:{key}" for key in keys))
            await batch.execute()


async def feed_recorded(client: redis.asyncio.Redis, producer: AsyncProducer, after_ms: int = 0) -> int:
    """Applies, oldest first, what was recorded at least ``after_ms`` ago; returns the number of decisions.

    Raises like ``effects.apply``.
    """
    now, found = await _waiting(client, UNFED, AT_ONCE)
    # A time in the future dates from before the clock stepped back.
    due = takewhile(lambda one: not 0 <= now - one[1] < after_ms, found)
    keys = [key.decode() for key, _ in due]
    if keys:
        await feed(client, producer, await _effects(client, {key: f"effects:{key}" for key in keys}))
    return len(keys)


async def retry_lanes(client: redis.asyncio.Redis, producer: AsyncProducer, retention_s: float) -> int:
    """Applies what nobody else has, and tries the lanes that are due; returns the number of decisions handled.

    Raises like ``effects.apply``.
    """
    fed = await feed_recorded(client, producer, REFEED_AFTER_MS)
    now, found = await _waiting(client, POSTPONED, LANES_AT_ONCE)
    due: Any = [lane for lane, tried_ms in found if tried_ms <= now]
    if not due:  # a time too far ahead dates from before the clock stepped back
        due = await client.zrangebyscore(POSTPONED, f"({now + POSTPONED_MS}", "+inf", start=0, num=LANES_AT_ONCE)
    for lane in due:
        fed += await _try(client, producer, lane.decode(), round(now - retention_s * 1000))
    return fed


async def _try(client: redis.asyncio.Redis, producer: AsyncProducer, lane: str, oldest_ms: int) -> int:
    """Applies the first effects in a lane, and gives up those that are too old; returns how many decisions left it."""
    found: Any = await client.zrange(f"{DECISIONS_PREFIX}lane:{lane}", 0, AT_ONCE - 1, withscores=True)
    keys = [key.decode() for key, recorded_ms in found if recorded_ms >= oldest_ms]
    old = [key.decode() for key, recorded_ms in found if recorded_ms < oldest_ms]
    for key in old:
        logger().error("effect.given_up", decision=key, problem=f"it waited too long: {lane}")
    todo = await _effects(client, {key: f"effects:{key}@{lane}" for key in keys})
    left = await effects.apply(client, producer, todo, in_lane=True)
    done = [*old, *(key for key in keys if key not in left)]
    await _FINISH_LANE.call_async(client, DECISIONS_PREFIX, "", lane, POSTPONED_MS if left else 0, *done)
    return len(done)


async def _effects(client: redis.asyncio.Redis, names: Mapping[str, str]) -> dict[str, Any]:
    """What is stored for these decisions under these names; None, which is not an effect, for invalid JSON."""
    if not names:
        return {}
    documents = await client.mget([DECISIONS_PREFIX + name for name in names.values()])
    return {key: _read(document) for key, document in zip(names, documents, strict=True)}


def _read(document: bytes | str | None) -> Any:  # noqa: ANN401 # whatever was stored
    try:
        return json.loads(document or b"[]")
    except ValueError:
        return None


async def _waiting(client: redis.asyncio.Redis, key: str, most: int) -> tuple[int, list[tuple[bytes, float]]]:
    """The time in ms, and the first members with theirs."""
    now, *found = await _WAITING.call_async(client, key, "", most)
    return now, list(zip(found[::2], map(float, found[1::2]), strict=True))
