"""What a moderation decision does in a channel: relays its message, or decides on messages that are held for its key.

Each effect is idempotent, so the callback does it at once, and a worker does it again for as long as nobody has
acknowledged it (``backlog.py``). It is stored whole with the decision: whoever does it needs none of the callback's
settings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import redis
import redis.asyncio

from pushlane.acceptance import decision_of, read_decision
from pushlane.errors import (
    IdempotencyConflict,
    InvalidMessage,
    PushlaneError,
    QueueFull,
    UnknownChannel,
)
from pushlane.form import build
from pushlane.keys import BELL, POSTPONED, channel_prefix
from pushlane.logs import logger
from pushlane.message import Limits, check_channel_name
from pushlane.options import internal_key
from pushlane.scripts import source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushlane.async_outbox import AsyncProducer
    from pushlane.form import Form

_BROKEN: Final = (InvalidMessage, IdempotencyConflict, AttributeError, LookupError, TypeError, ValueError)
"""What no repetition makes better; a document that is no effect among it."""
_AWAY: Final = (redis.ConnectionError, redis.TimeoutError, OSError)
_RELAYS: Final = ("enqueue", "relay")
"""``relay`` is how the version before wrote it, with a key that clients can name: in the message, and kept as it is."""
_NO_LIMITS: Final = Limits("", 0, "", 0)
"""Only a rewrite has something to measure."""

Effect = dict[str, Any]


def relay(channel: str, fields: Mapping[str, object], key: str) -> Effect:
    """Enqueues a message, given as the fields of its JSON form, once for this key of our own."""
    return {"do": "enqueue", "channel": channel, "message": dict(fields), "key": key}


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

    @property
    def lane(self) -> str:
        return lane_of(self.effect)


def lane_of(effect: Effect) -> str:
    """What waits behind what: effects of one kind in one channel. A full channel takes no relays, but decisions."""
    do = "relay" if effect["do"] == "enqueue" else str(effect["do"])[:40]
    return f"{do}/{effect['channel']}"


async def apply(
    client: redis.asyncio.Redis,
    producer: AsyncProducer,
    decisions: Mapping[str, Sequence[Effect]],
    *,
    in_lane: bool = False,
) -> dict[str, list[Effect]]:
    """Does the effects of these decisions; what is left of them, because its channel is full or not there.

    Those of a lane come in the order of their decisions: behind one that has to wait, all of its lane wait. What can
    never succeed is logged and counts as done; what a newer version wrote is left for that.

    Args:
        client: Where the decisions are.
        producer: For the channels.
        decisions: Their effects by their keys, in the order in which they were recorded.
        in_lane: These are what waits in a lane. Others are left if something waits in their lane already.

    Raises:
        QueueUnavailable, redis.RedisError, OSError: Redis is away; nobody knows what was done.
    """
    steps = [step for key, todo in decisions.items() for effect in _listed(todo) if (step := _step(key, effect))]
    waiting = frozenset() if in_lane else await _postponed(client, steps)
    todo = [step for step in steps if step.lane not in waiting]
    for channel in dict.fromkeys(step.channel for step in todo):
        await _relay_all(producer, channel, [step for step in todo if step.channel == channel])
    await _decide_all(client, [step for step in todo if step.do == "decide"])
    await _do_each(producer, todo)
    left: dict[str, list[Effect]] = {}
    for step in steps:
        if not step.done:
            left.setdefault(step.decision, []).append(step.effect)
    return left


async def _postponed(client: redis.asyncio.Redis, steps: Sequence[_Step]) -> frozenset[str]:
    if not steps:
        return frozenset()
    lanes = list(dict.fromkeys(step.lane for step in steps))
    scores: Any = await client.zmscore(POSTPONED, lanes)
    return frozenset(lane for lane, score in zip(lanes, scores, strict=True) if score is not None)


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
        if do in _RELAYS and form is None:
            raise InvalidMessage("message", "is missing")
        if do == "enqueue" and form is not None:
            form = replace(form, options=replace(form.options, idempotency_key=internal_key(str(effect["key"]))))
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
    relays = [(step, step.form) for step in steps if step.do in _RELAYS and step.form is not None]
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
    alone = set()
    sha = client.register_script(source("decide")).sha
    async with client.pipeline(transaction=False) as batch:
        for step in steps:
            key, verdict, reason = (step.effect.get(name) for name in ("key", "verdict", "reason"))
            if (step.channel, str(key)) in alone:  # what comes later must not be the first decision on its key
                continue
            try:
                argument = decision_of(_NO_LIMITS, key, verdict, None, reason)  # type: ignore[arg-type] # checks
            except _BROKEN:
                alone.add((step.channel, str(key)))
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
    waiting: set[str] = set()
    for step in steps:
        if step.done or step.lane in waiting:
            continue
        try:
            if not await _do(producer, step):
                waiting.add(step.lane)
                continue
            step.done = True
        except _BROKEN as error:
            _give_up(step.decision, error)
            step.done = True
        except PushlaneError as error:
            if _is_away(error):
                raise
            if isinstance(error, QueueFull | UnknownChannel):
                waiting.add(step.lane)
            logger().warning("effect.postponed", decision=step.decision, channel=step.channel, problem=str(error))


async def _do(producer: AsyncProducer, step: _Step) -> bool:
    if step.do in _RELAYS and step.form is not None:
        await producer.send_form(step.channel, step.form)
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
    """In place of a rewrite that cannot be made: a hold that ends would send the text that was not to be seen."""
    logger().warning("effect.forbids", decision=decision, channel=effect["channel"], problem=str(error))
    reason = f"its rewrite does not fit the channel: {error}"
    return {**effect, "verdict": "forbid", "message": None, "reason": reason}


def _is_away(error: PushlaneError) -> bool:
    return isinstance(error.__cause__, _AWAY)
