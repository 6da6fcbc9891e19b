"""What a moderation decision does in a channel: relays its message, or decides on messages that are held for its key.

Each effect is idempotent, so the callback does it at once, and a worker's sweep does it again for as long as nobody has
acknowledged it. It is stored whole with the decision: whoever does it needs none of the callback's settings.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import redis
import redis.asyncio

from pushlane.acceptance import decision_of, read_decision
from pushlane.errors import (
    IdempotencyConflict,
    InvalidMessage,
    PushlaneError,
    QueueFull,
    QueueUnavailable,
    UnknownChannel,
)
from pushlane.form import build
from pushlane.keys import BELL, DECISIONS_PREFIX, channel_prefix
from pushlane.logs import logger
from pushlane.message import Limits, check_channel_name
from pushlane.scripts import source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushlane.form import Form
    from pushlane.outbox import AsyncProducer

REFEED_AFTER_MS: Final = 5000
"""So long the callback has time to do it by itself; a worker's sweep looks at what is older."""
REFEED_AT_ONCE: Final = 50

UNFED: Final = f"{DECISIONS_PREFIX}unfed"
_BROKEN: Final = (InvalidMessage, IdempotencyConflict, AttributeError, LookupError, TypeError, ValueError)
"""What no repetition makes better; a document that is no effect among it."""
_AWAY: Final = (redis.ConnectionError, redis.TimeoutError, OSError)
_NO_LIMITS: Final = Limits("", 0, "", 0)
"""Only a rewrite has something to measure."""

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


@dataclass(slots=True, eq=False)
class _Step:
    """An effect on its way; ``done`` also when it can never succeed."""

    decision: str
    do: str
    channel: str
    effect: Effect
    form: Form | None
    done: bool = False


async def apply(
    client: redis.asyncio.Redis, producer: AsyncProducer, decisions: Mapping[str, Sequence[Effect]]
) -> list[str]:
    """Does the effects of these decisions; the keys of those whose effects are done.

    Relays of a channel come in the order of their decisions: behind one that has to wait, all of its channel wait.
    What can never succeed is logged and counts as done; what a newer version wrote waits for that.
    """
    steps = [step for key, todo in decisions.items() for effect in _listed(todo) if (step := _step(key, effect))]
    try:
        for channel in dict.fromkeys(step.channel for step in steps):
            await _relay_all(producer, channel, [step for step in steps if step.channel == channel])
        await _decide_all(client, [step for step in steps if step.do == "decide"])
        await _do_each(producer, steps)
    except (QueueUnavailable, *_AWAY) as error:
        # For the next one it would be the same, and take as long to find out.
        left = sum(not step.done for step in steps)
        logger().warning("effects.postponed", count=left, problem=str(error) or type(error).__name__)
    open_ = {step.decision for step in steps if not step.done}
    return [key for key in decisions if key not in open_]


def _listed(todo: object) -> Sequence[object]:
    return todo if isinstance(todo, list | tuple) else [todo]


def _step(key: str, effect: Any) -> _Step | None:  # noqa: ANN401 # whatever was stored
    """None for what is no effect."""
    try:
        do, channel, message = effect["do"], check_channel_name(effect["channel"]), effect["message"]
        try:
            form = None if message is None else build(message)
        except InvalidMessage as error:
            if do != "decide":
                raise
            form, effect = None, _forbidding(key, effect, error)
        if do == "relay" and form is None:
            raise InvalidMessage("message", "is missing")
        return _Step(key, do, channel, effect, form)
    except _BROKEN as error:
        _give_up(key, error)
        return None


def _give_up(key: str, error: Exception) -> None:
    # Only our own errors are sure not to quote what a message says.
    problem = str(error) if isinstance(error, PushlaneError) else type(error).__name__
    logger().error("effect.given_up", decision=key, problem=problem)


async def _relay_all(producer: AsyncProducer, channel: str, steps: Sequence[_Step]) -> None:
    """One round trip for all, if none of them stands in the way. Raises QueueUnavailable while Redis is away."""
    relays = [(step, step.form) for step in steps if step.do == "relay" and step.form is not None]
    if len(relays) > 1:
        try:
            await producer.send_forms(channel, [form for _, form in relays])
        except PushlaneError as error:
            if _is_away(error):
                raise
            return
        for step, _ in relays:
            step.done = True


async def _decide_all(client: redis.asyncio.Redis, steps: Sequence[_Step]) -> None:
    """One round trip for all that need no other. Whatever is in the way of one is found out when it is done alone."""
    asked: list[tuple[_Step, bytes]] = []
    sha = client.register_script(source("decide")).sha
    async with client.pipeline(transaction=False) as batch:
        for step in steps:
            key, verdict, reason = (step.effect.get(name) for name in ("key", "verdict", "reason"))
            try:
                argument = decision_of(_NO_LIMITS, key, verdict, None, reason)  # type: ignore[arg-type] # checks
            except _BROKEN:
                continue
            batch.evalsha(sha, 2, channel_prefix(step.channel), BELL, "", key, argument, 1)  # type: ignore[arg-type]
            asked.append((step, argument))
        replies: list[Any] = await batch.execute(raise_on_error=False)
    for (step, argument), reply in zip(asked, replies, strict=True):
        if isinstance(reply, list) and len(reply) > 1:
            _, left = read_decision(step.channel, argument, reply)
            step.done = not left


async def _do_each(producer: AsyncProducer, steps: Sequence[_Step]) -> None:
    """What is left, one by one. Raises QueueUnavailable while Redis is away."""
    waiting: set[tuple[str, str]] = set()
    for step in steps:
        if step.done or (step.do, step.channel) in waiting:
            continue
        try:
            step.done = await _do(producer, step)
        except _BROKEN as error:
            _give_up(step.decision, error)
            step.done = True
        except PushlaneError as error:
            if _is_away(error):
                raise
            if isinstance(error, QueueFull | UnknownChannel):
                waiting.add((step.do, step.channel))
            logger().warning("effect.postponed", decision=step.decision, channel=step.channel, problem=str(error))


async def _do(producer: AsyncProducer, step: _Step) -> bool:
    if step.do == "relay" and step.form is not None:
        await producer.send_forms(step.channel, [step.form])
    elif step.do == "decide":
        await _decide(producer, step)
    else:
        logger().warning("effect.unknown", decision=step.decision, do=str(step.do)[:40])
        return False
    return True


async def _decide(producer: AsyncProducer, step: _Step) -> None:
    """Kept briefly: it is made for each message that is judged, whether somebody holds for it or not."""
    new, effect = None if step.form is None else step.form.message, step.effect
    try:
        await producer.decide_once(
            step.channel, effect["key"], effect["verdict"], message=new, reason=effect["reason"], brief=True
        )
    except InvalidMessage as error:
        if new is None:
            raise
        effect = _forbidding(step.decision, effect, error)
        await producer.decide_once(step.channel, effect["key"], "forbid", reason=effect["reason"], brief=True)


def _forbidding(decision: str, effect: Effect, error: InvalidMessage) -> Effect:
    """In place of a rewrite that can not be made: a hold that ends would send the text that was not to be seen."""
    logger().warning("effect.forbids", decision=decision, channel=effect["channel"], problem=str(error))
    reason = f"its rewrite does not fit the channel: {error}"
    return {**effect, "verdict": "forbid", "message": None, "reason": reason}


def _is_away(error: PushlaneError) -> bool:
    return isinstance(error.__cause__, _AWAY)


async def acknowledge(client: redis.asyncio.Redis, keys: Sequence[str]) -> None:
    """Forgets the effects of these decisions: they are done."""
    if keys:
        async with client.pipeline(transaction=True) as batch:
            batch.zrem(UNFED, *keys)
            batch.delete(*(f"{DECISIONS_PREFIX}effects:{key}" for key in keys))
            await batch.execute()


async def refeed(client: redis.asyncio.Redis, producer: AsyncProducer) -> int:
    """Does what was recorded a while ago and nobody has acknowledged; how many decisions it has tried."""
    seconds, microseconds = await client.time()
    now = seconds * 1000 + microseconds // 1000
    found: Any = await client.zrangebyscore(UNFED, "-inf", now - REFEED_AFTER_MS, start=0, num=REFEED_AT_ONCE)
    keys = [key.decode() for key in found]
    if not keys:
        return 0
    documents = await client.mget([f"{DECISIONS_PREFIX}effects:{key}" for key in keys])
    done = await apply(client, producer, {key: _effects(doc) for key, doc in zip(keys, documents, strict=True)})
    await acknowledge(client, done)
    if left := {key: now for key in keys if key not in done}:
        # To the back: they must not stand in the way of others until their channel is there.
        await client.zadd(UNFED, left, xx=True)
    return len(keys)


def _effects(document: bytes | str | None) -> Any:  # noqa: ANN401 # whatever was stored
    """None, which is no effect, for what is no JSON."""
    try:
        return json.loads(document or b"[]")
    except ValueError:
        return None
