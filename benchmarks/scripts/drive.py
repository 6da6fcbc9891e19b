"""Drives one source tree's scripts through its own Python, and says what that cost the server.

Started by ``trees.py`` with that tree's packages first on the path. Each line of its input is a server's address and a
case's name; each line of its output is the figures of that case's works as JSON. The time is the server's CPU time,
all of it, as the kernel counts it; only the longest call is measured by the clock on the wall.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from redis import Redis
from support.channels import LEASE_S, channel_record, register

from pushlane import Producer, RoomMessage
from pushlane_worker.queue.outcome import Outcome, PushResult  # type: ignore[attr-defined] # where older trees have it
from pushlane_worker.queue.retry import NextStep
from pushlane_worker.queue.store import Store
from pushlane_worker.queue.turns import Settlement, Turns

CHANNEL: Final = "support"
TEXT: Final = "A text of sixty characters, as people send them to a room..."
LOGGED_US: Final = 1000
"""Calls that take at least this long are in the server's slow log. Shorter ones would be changed by being logged."""


@dataclass(frozen=True)
class Case:
    """Messages that are enqueued in calls of one size, then drained in turns of one size."""

    share: float
    """Of the messages of a run."""
    in_room: int
    in_call: int
    batches: int
    """How many a turn claims; 0 to leave the messages where they are."""
    works: tuple[str, ...]
    """What its figures are called: enqueueing, then draining."""


CASES: Final = {
    "full": Case(1, 40, 1000, 16, ("enqueue, 1,000 a call", "drain, 16 batches a turn")),
    "short": Case(0.5, 40, 100, 4, ("enqueue, 100 a call", "drain, 4 batches a turn")),
    "rooms": Case(0.5, 1, 1000, 16, ("enqueue, a room a message", "drain, a room a message")),
    "single": Case(0.1, 40, 1, 0, ("enqueue, 1 a call",)),
}
IDLE: Final = "empty turn"
IDLE_TURNS: Final = 300


def measure(client: Any, work: Callable[[], int]) -> dict[str, float]:  # noqa: ANN401 # untyped replies
    """What the work cost the server: CPU a message or turn, scripts called, commands in them, the longest call."""
    client.config_resetstat()
    client.slowlog_reset()
    before = _cpu_us(client)
    done = work()
    cpu_us = _cpu_us(client) - before
    calls = {name.partition("_")[2]: stats["calls"] for name, stats in client.info("commandstats").items()}
    scripts = sum(calls.pop(name, 0) for name in ("evalsha", "fcall"))
    slow = [
        entry["duration"] for entry in client.slowlog_get(-1) if entry["command"].startswith((b"EVALSHA", b"FCALL"))
    ]
    ours = sum(calls.get(name, 0) for name in ("info", "config|resetstat", "slowlog|reset"))
    return {
        "us": cpu_us / done,
        "script_us": cpu_us / scripts,
        "calls": (sum(calls.values()) - ours) / scripts,
        "longest_us": max(slow, default=0),
    }


def _cpu_us(client: Any) -> float:  # noqa: ANN401 # the same
    cpu = client.info("cpu")
    return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"]) * 1e6


def enqueue(producer: Producer, case: Case, count: int) -> int:
    """Enqueues so many messages, one for each room in turn."""
    rooms = max(count // case.in_room, 1)
    messages = [RoomMessage(f"room-{number % rooms}", TEXT) for number in range(count)]
    for start in range(0, count, case.in_call):
        if case.in_call == 1:
            producer.send(CHANNEL, messages[start])
        else:
            producer.send_many(CHANNEL, messages[start : start + case.in_call])
    return count


async def drain(url: str, batches: int) -> int:
    """Delivers all that is there, each turn as many batches as the one before has claimed; how many messages."""
    store = Store.connect(url, {CHANNEL: channel_record(CHANNEL, rate_limit=0)})
    turns, delivered, settlements = Turns(store, CHANNEL, LEASE_S), 0, list[Settlement]()
    result, step = PushResult(Outcome.DELIVERED), NextStep()
    while claims := (await turns.take(batches, 0, settlements)).claims:
        settlements = [Settlement(claim, result, step) for claim in claims]
        delivered += sum(len(claim.message_ids) for claim in claims)
    await store.aclose()
    return delivered


async def idle(url: str) -> int:
    """Turns that find nothing."""
    store = Store.connect(url, {CHANNEL: channel_record(CHANNEL, rate_limit=0)})
    turns = Turns(store, CHANNEL, LEASE_S)
    for _ in range(IDLE_TURNS):
        assert not (await turns.take(16, 0, [])).claims
    await store.aclose()
    return IDLE_TURNS


def run(url: str, name: str, messages: int) -> dict[str, dict[str, float]]:
    """The figures of one case, on an empty database."""
    with Redis.from_url(url) as client, Producer(url, timeout=30) as producer:
        client.flushall()
        client.config_set("slowlog-log-slower-than", LOGGED_US)
        client.config_set("slowlog-max-len", 1_000_000)
        register(client, CHANNEL, rate_limit=0)
        # The scripts are loaded and warm, and the producer knows the channel.
        enqueue(producer, CASES["full"], 200)
        asyncio.run(drain(url, 16))
        if name == IDLE:
            return {IDLE: measure(client, lambda: asyncio.run(idle(url)))}
        case = CASES[name]
        count = round(messages * case.share)
        figures = {case.works[0]: measure(client, lambda: enqueue(producer, case, count))}
        if case.batches:
            delivered = 0

            def deliver() -> int:
                nonlocal delivered
                delivered = asyncio.run(drain(url, case.batches))
                return delivered

            figures[case.works[1]] = measure(client, deliver)
            assert delivered == count, f"{delivered} of {count} messages were delivered"
        return figures


if __name__ == "__main__":
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(run(**order)), flush=True)
