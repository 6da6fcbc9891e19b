"""What a moderation decision does in a channel: relays its message, or decides on messages that are held for its key.

Each effect is idempotent, so the callback does it at once, and a worker's sweep does it again for as long as nobody has
acknowledged it. It is stored whole with the decision: whoever does it needs none of the callback's settings.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pushlane.errors import IdempotencyConflict, InvalidMessage, PushlaneError
from pushlane.form import build
from pushlane.keys import DECISIONS_PREFIX
from pushlane.logs import logger

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import redis.asyncio

    from pushlane.form import Form
    from pushlane.outbox import AsyncProducer

REFEED_AFTER_MS: Final = 5000
"""So long the callback has time to do it by itself; a worker's sweep looks at what is older."""
REFEED_AT_ONCE: Final = 50
GIVEN_UP: Final = (InvalidMessage, IdempotencyConflict)
"""What no repetition makes better."""

UNFED: Final = f"{DECISIONS_PREFIX}unfed"

Effect = dict[str, Any]


def relay(channel: str, fields: Mapping[str, object], key: str) -> Effect:
    """Enqueues a message, given as the fields of its JSON form, with this idempotency key."""
    return {"do": "relay", "channel": channel, "message": {**fields, "idempotency_key": key}}


def decide(channel: str, key: str, verdict: str, *, fields: Mapping[str, object] | None, reason: str) -> Effect:
    """Decides on the messages that are held for the key; ``fields`` of a message with the new text for a rewrite."""
    return {
        "do": "decide",
        "channel": channel,
        "key": key,
        "verdict": verdict,
        "message": None if fields is None else dict(fields),
        "reason": reason,
    }


async def apply(producer: AsyncProducer, decisions: Mapping[str, Sequence[Effect]]) -> list[str]:
    """Does the effects of these decisions, in their order; the keys of those whose effects are done.

    What can never succeed is logged and counts as done.
    """
    relays: dict[str, list[Form]] = {}
    for todo in decisions.values():
        for effect in todo:
            if effect["do"] == "relay" and (form := _form(effect)) is not None:
                relays.setdefault(effect["channel"], []).append(form)
    together = {channel for channel, forms in relays.items() if await _relay_all(producer, channel, forms)}
    return [key for key, todo in decisions.items() if await _done(producer, key, todo, together)]


def _form(effect: Effect) -> Form | None:
    try:
        return build(effect["message"])
    except InvalidMessage as error:
        logger().error("effect.given_up", do="relay", channel=effect["channel"], problem=str(error))
        return None


async def _relay_all(producer: AsyncProducer, channel: str, forms: Sequence[Form]) -> bool:
    """One round trip for all of them; False when one of them stands in the way."""
    try:
        await producer.send_forms(channel, forms)
    except PushlaneError:
        return False
    return True


async def _done(producer: AsyncProducer, key: str, todo: Sequence[Effect], together: Collection[str]) -> bool:
    for effect in todo:
        if effect["do"] == "relay" and effect["channel"] in together:
            continue
        try:
            await _do(producer, effect)
        except GIVEN_UP as error:
            logger().error("effect.given_up", do=effect["do"], channel=effect["channel"], problem=str(error))
        except PushlaneError as error:
            logger().warning("effect.postponed", decision=key, problem=str(error))
            return False
    return True


async def _do(producer: AsyncProducer, effect: Effect) -> None:
    message = None if effect["message"] is None else build(effect["message"])
    if effect["do"] == "relay" and message is not None:
        await producer.send_forms(effect["channel"], [message])
    elif effect["do"] == "decide":
        new = None if message is None else message.message
        await producer.decide(effect["channel"], effect["key"], effect["verdict"], message=new, reason=effect["reason"])


async def acknowledge(client: redis.asyncio.Redis, keys: Sequence[str]) -> None:
    """Forgets the effects of these decisions: they are done."""
    if keys:
        async with client.pipeline(transaction=True) as batch:
            batch.zrem(UNFED, *keys)
            batch.delete(*(f"{DECISIONS_PREFIX}effects:{key}" for key in keys))
            await batch.execute()


async def refeed(client: redis.asyncio.Redis, producer: AsyncProducer) -> int:
    """Does what was recorded a while ago and nobody has acknowledged; how many decisions that were."""
    seconds, microseconds = await client.time()
    now = seconds * 1000 + microseconds // 1000
    found: Any = await client.zrangebyscore(UNFED, "-inf", now - REFEED_AFTER_MS, start=0, num=REFEED_AT_ONCE)
    keys = [key.decode() for key in found]
    if not keys:
        return 0
    documents = await client.mget([f"{DECISIONS_PREFIX}effects:{key}" for key in keys])
    todo = {key: json.loads(document or "[]") for key, document in zip(keys, documents, strict=True)}
    done = await apply(producer, todo)
    await acknowledge(client, done)
    if left := {key: now for key in keys if key not in done}:
        # To the back: they must not stand in the way of others until their channel is there.
        await client.zadd(UNFED, left, xx=True)
    return len(done)
