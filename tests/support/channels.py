"""Channels as a worker would register and drain them, without a worker."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from pydantic import SecretStr
from redis import Redis

from pushlane.keys import CHANNELS, channel_prefix
from pushlane.outcome import Outcome
from pushlane.scripts import Script
from pushlane_worker.channel_settings import ChannelSettings
from pushlane_worker.channels.channel import channel_record as worker_record
from pushlane_worker.queue.outcome import PushResult
from pushlane_worker.queue.retry import NextStep
from pushlane_worker.queue.store import Store
from pushlane_worker.queue.turns import Claim, Settlement, Turns
from pushlane_worker.settings import Settings

LEASE_S = 30.0

_ADDRESSES: Mapping[str, Mapping[str, str]] = {
    "cinnox": {"base_url": "https://api.example.com", "app_id": "app"},
    "third_party": {"url": "https://partner.example.com/messages"},
}


def channel_with(kind: str = "cinnox", **settings: object) -> ChannelSettings:
    """A channel's settings: the token ``token``, defaults, and these."""
    given = {"kind": kind, **_ADDRESSES[kind], "token": SecretStr("token"), "token_file": None}
    return ChannelSettings.model_validate(given | settings)


def channel_record(name: str = "support", **fields: str | int) -> dict[str, str | int]:
    """The record of a channel with default settings, a ``cinnox`` one unless told otherwise; these fields replaced."""
    channel = channel_with(str(fields.get("kind", "cinnox")))
    # Not validated, so that neither the environment nor a file of the developer's has a say.
    settings = Settings.model_construct(channels={name: channel})
    return worker_record(settings, name) | fields


def register(redis: Redis, name: str = "support", **fields: str | int) -> None:
    """Registers a channel as a worker does at its start."""
    pairs = [item for pair in channel_record(name, **fields).items() for item in pair]
    Script("register").call(redis, channel_prefix(name), "", *pairs)
    redis.sadd(CHANNELS, name)


def claim(redis_url: str, channel: str = "support") -> Sequence[Claim]:
    """Leases what is ready, as a drain whose worker then falls silent."""
    return _drain(redis_url, channel, None)


def push(
    redis_url: str,
    outcome: Outcome = Outcome.DELIVERED,
    channel: str = "support",
    detail: str = "said so",
    **step: str,
) -> Sequence[Claim]:
    """Claims what is ready and settles it with this outcome; ``dead`` and ``reason`` say what it does to a batch."""
    result = PushResult(outcome, detail)
    return _drain(redis_url, channel, lambda claim: Settlement(claim, result, NextStep(**step)))  # type: ignore[arg-type] # its texts alone


def _drain(redis_url: str, channel: str, settle: Callable[[Claim], Settlement] | None) -> Sequence[Claim]:
    async def drain() -> Sequence[Claim]:
        store = Store.connect(redis_url, {channel: channel_record(channel)})
        try:
            turns = Turns(store, channel, LEASE_S)
            claims = (await turns.take(1000, 0, [])).claims
            if settle is not None:
                await turns.take(-1, 0, [settle(claim) for claim in claims])
            return claims
        finally:
            await store.aclose()

    return asyncio.run(drain())
