"""The number by which KEDA scales workers: what its triggers read on a real server, and what their formula makes of it.

Celery's list shows no backlog: a channel has at most one waiting task, whatever the number of its messages.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from redis import Redis
from support.manifests import container, of_kind
from support.queue import Queue, settle

from pushlane.outcome import Outcome
from pushlane_worker.settings import Settings

SLOTS = int(Settings.model_fields["max_in_flight"].default)
ROOMS = 5 * SLOTS
(SCALER,) = of_kind("ScaledObject").values()
MODIFIERS: Mapping[str, Any] = SCALER["advanced"]["scalingModifiers"]


def number(redis: Redis) -> float:
    """What KEDA makes of Redis now: it reads the cardinality of a sorted set, and its formula means the same here."""
    read: dict[str, Any] = {trigger["name"]: length(redis, trigger["metadata"]) for trigger in SCALER["triggers"]}
    return float(eval(MODIFIERS["formula"], {"min": min}, read))  # noqa: S307 # our own file


def length(redis: Redis, trigger: Mapping[str, str]) -> int:
    """What a trigger reads; an error of the server where the key is no sorted set."""
    counted: Any = redis.zcard(trigger["listName"])
    return int(counted)


def backlog(redis: Redis, rooms: int, messages: int = 1, **limits: int) -> Queue:
    """Messages in many rooms of the channel that the manifest names, which has delivered for a while."""
    queue = Queue(redis, "support", **limits)
    redis.hset(f"{queue.prefix}gate", mapping={"state": "open", "cap": 1_000_000})
    for room in range(rooms):
        queue.enqueue(f"room-{room}", *(f"m-{room}-{one}" for one in range(messages)))
    return queue


def test_the_target_is_the_slots_of_a_worker() -> None:
    """So a worker whose slots are all taken, with as many conversations waiting, asks for a second one."""
    assert (float(MODIFIERS["target"]), MODIFIERS["metricType"]) == (SLOTS, "AverageValue")
    assert container("worker")["command"] == ["pushlane", "worker", "-c", "1", "--metrics-port", "9400"]


def test_it_grows_with_a_backlog_and_with_the_workers_on_it(redis: Redis) -> None:
    """Each full worker asks for another one and more, until no conversation waits, or nothing is left."""
    queue = backlog(redis, ROOMS)
    claims = [*queue.turn(drain="a").claims]
    assert number(redis) == 2 * SLOTS
    claims += queue.turn(drain="b").claims
    assert number(redis) == ROOMS - 2 * SLOTS
    claims += [claim for drain in "cde" for claim in queue.turn(drain=drain).claims]
    assert number(redis) == 0
    queue.turn(*map(settle, claims))
    assert number(redis) == 0
    queue.assert_counters()


def test_it_is_nothing_while_a_worker_copes(redis: Redis) -> None:
    """However many messages the conversations have: no other worker could push them."""
    queue = backlog(redis, SLOTS // 2, messages=50)
    while queue.turn().claims:
        pass  # a turn claims so many messages at most
    assert number(redis) == 0


def test_it_is_nothing_when_the_rate_limit_makes_conversations_wait(redis: Redis) -> None:
    """All that it allows has been pushed."""
    queue = backlog(redis, ROOMS, rate_limit=SLOTS, rate_window_ms=60_000)
    queue.turn(*map(settle, queue.turn().claims))
    assert (length(redis, {"listName": f"{queue.prefix}ready"}), number(redis)) == (ROOMS - SLOTS, 0)


@pytest.mark.parametrize("outcome", [Outcome.THROTTLED, Outcome.FAILED, Outcome.MISCONFIGURED])
def test_it_is_next_to_nothing_when_the_gate_makes_them_wait(redis: Redis, outcome: Outcome) -> None:
    """Closed for a while, or open for one probe at a time."""
    queue = backlog(redis, ROOMS)
    queue.turn(*(settle(claim, outcome, wait_ms=1000, dead="0") for claim in queue.turn().claims))
    queue.turn()
    assert number(redis) <= 2


def test_it_is_nothing_for_a_paused_channel(redis: Redis) -> None:
    """It may have any number of messages."""
    queue = backlog(redis, ROOMS)
    queue.pause()
    queue.turn()
    assert number(redis) == 0
