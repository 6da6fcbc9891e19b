"""What a moderation decision does in a channel: relays its message, or decides on messages that are held for its key.

Effects are idempotent: the callback applies them at once, and workers apply them again until they are acknowledged
(``retry_effects.py``). An effect is stored complete with its decision, so applying it takes none of the callback's
settings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import redis
import redis.asyncio

from pushlane.enqueue_protocol import decision_of, read_decision
from pushlane.errors import (
    IdempotencyConflict,
    InvalidMessage,
    NewerChannel,
    PushlaneError,
    QueueFull,
    UnknownChannel,
)
from pushlane.keys import POSTPONED, channel_prefix
from pushlane.message import Limits, check_channel_name
from pushlane.message_json import build
from pushlane.scripts import Script
from pushlane.send_options import internal_key
from pushlane.service.logs import logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushlane.async_producer import AsyncProducer
    from pushlane.message_json import Form

_BROKEN: Final = (InvalidMessage, IdempotencyConflict, AttributeError, LookupError, TypeError, ValueError)
"""Errors that retrying cannot fix, including those of a document that is not an effect."""
_AWAY: Final = (redis.ConnectionError, redis.TimeoutError, OSError)
_RELAYS: Final = ("enqueue", "relay")
"""The previous version wrote ``relay``, with a key that clients can use, too: it is in the message, and stays as is."""
_DECIDE: Final = Script("decide")
_NO_LIMITS: Final = Limits("", 0, "", 0)
"""Only a rewrite has content to check."""

Effect = dict[str, Any]


def relay(channel: str, fields: Mapping[str, object], key: str) -> Effect:
    """Enqueues a message, given as the fields of its JSON form, once per internal key."""
    return {"do": "enqueue", "channel": channel, "message": dict(fields), "key": key}


def decide(channel: str, key: str, verdict: str, *, fields: Mapping[str, object] | None, reason: str) -> Effect:
    """Decides on the messages held for the key. For a rewrite, ``fields`` are those of a message with the new text."""
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
    """An effect that is being applied; ``done`` also if it can never succeed."""

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
    """An effect's lane: one per kind of effect and channel. A full channel accepts no relays, but still decisions."""
    do = "relay" if effect["do"] == "enqueue" else str(effect["do"])[:40]
    return f"{do}/{effect['channel']}"


async def apply(
    client: redis.asyncio.Redis,
    producer: AsyncProducer,
    decisions: Mapping[str, Sequence[Effect]],
    *,
    in_lane: bool = False,
) -> dict[str, list[Effect]]:
    """Applies the effects of these decisions; returns those left over because their channel cannot take them now.

    The effects of a lane are applied in the order of their decisions: if one has to wait, so do all behind it. An
    effect that can never succeed is logged and counts as done; one written by a newer version is left for that version.

    Args:
        client: The Redis that holds the decisions.
        producer: Enqueues into the channels.
        decisions: The effects by decision key, in the order in which the decisions were recorded.
        in_lane: These effects come from a lane. Others are left over if their lane is not empty.

    Raises:
        QueueUnavailable, redis.RedisError, OSError: Redis is unreachable; what was done is unknown.
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
    """None for an invalid effect."""
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
    # Only our own errors are certain not to quote a message's text.
    problem = str(error) if isinstance(error, PushlaneError) else type(error).__name__
    logger().error("effect.given_up", decision=key, problem=problem)


async def _relay_all(producer: AsyncProducer, channel: str, steps: Sequence[_Step]) -> None:
    """Sends all in one round trip, unless one of them fails. Raises QueueUnavailable while Redis is unreachable."""
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
    """Makes all decisions that need only one call in one round trip. Any that fail are made one by one later."""
    asked: list[tuple[_Step, bytes]] = []
    alone = set()
    calls: list[tuple[str, Sequence[Any]]] = []
    for step in steps:
        key, verdict, reason = (step.effect.get(name) for name in ("key", "verdict", "reason"))
        if (step.channel, str(key)) in alone:  # a later one must not become the first decision on its key
            continue
        try:
            argument = decision_of(_NO_LIMITS, key, verdict, None, reason)  # type: ignore[arg-type] # checks
        except _BROKEN:
            alone.add((step.channel, str(key)))
            continue
        calls.append((channel_prefix(step.channel), ("", key, argument, 1)))
        asked.append((step, argument))
    replies = await _DECIDE.call_each(client, calls)
    for (step, argument), reply in zip(asked, replies, strict=True):
        if isinstance(reply, list) and len(reply) > 1:
            _, left = read_decision(step.channel, argument, reply)
            step.done = not left


async def _do_each(producer: AsyncProducer, steps: Sequence[_Step]) -> None:
    """Applies what is left, one by one. Raises QueueUnavailable while Redis is unreachable."""
    waiting: set[str] = set()
    for step in steps:
        if step.done or step.lane in waiting:
            continue
        try:
            if step.do in _RELAYS and step.form is not None:
                await producer.send_form(step.channel, step.form)
            elif step.do == "decide":
                await _decide(producer, step)
            else:
                logger().warning("effect.unknown", decision=step.decision, do=str(step.do)[:40])
                waiting.add(step.lane)
                continue
            step.done = True
        except _BROKEN as error:
            _give_up(step.decision, error)
            step.done = True
        except PushlaneError as error:
            if _is_away(error):
                raise
            if isinstance(error, QueueFull | UnknownChannel | NewerChannel):
                waiting.add(step.lane)
            logger().warning("effect.postponed", decision=step.decision, channel=step.channel, problem=str(error))


async def _decide(producer: AsyncProducer, step: _Step) -> None:
    """Kept briefly: a decision is made for every message that is judged, whether or not a message is held for it."""
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
    """Replaces a rewrite that is impossible: at the end of its hold, the text that must not be seen would be sent."""
    logger().warning("effect.forbids", decision=decision, channel=effect["channel"], problem=str(error))
    reason = f"the rewrite does not fit the channel: {error}"
    return {**effect, "verdict": "forbid", "message": None, "reason": reason}


def _is_away(error: PushlaneError) -> bool:
    return isinstance(error.__cause__, _AWAY)
