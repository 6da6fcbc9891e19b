"""The list of a conversation's pushes, from which timelines are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaos.mutants.mutant import Mutant
from integration.drain import test_pushes

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from redis import Redis


def _throttled_for_long(redis: Redis) -> None:
    step = {"wait_ms": 9, "lone": True, "dead": "01", "reason": "a"}
    test_pushes.test_each_outcome_but_a_delivery_is_listed(redis, Outcome.THROTTLED, step, None)


PUSHES = (
    Mutant(
        "what was given back unsent is listed",
        "if outcome ~= DELIVERED and outcome ~= UNSENT then",
        "if outcome ~= DELIVERED then",
    ),
    Mutant("a delivery is never listed", "    return any_pushed\n", "    return false\n"),
    Mutant(
        "each delivery of messages with details is listed", "any_pushed = any_pushed or pushed", "any_pushed = true"
    ),
    Mutant(
        "the delivery of a part of a split batch is not listed",
        "number(details, 'pushed') > 0 or field(details, 'part') ~= zeros('part')",
        "number(details, 'pushed') > 0",
    ),
    Mutant("a throttling has a number", "settled.attempt = cost == 1", "settled.attempt = true", _throttled_for_long),
    Mutant("no failure has a number", "settled.attempt = cost == 1", "settled.attempt = false"),
    Mutant(
        "the list keeps its oldest pushes",
        "redis.call('LTRIM', key, -MAX_PUSHES, -1)",
        "redis.call('LTRIM', key, 0, MAX_PUSHES - 1)",
        test_pushes.test_a_hundred_failing_pushes_leave_twenty_small_entries,
    ),
    Mutant(
        "the list grows without a bound",
        "redis.call('LTRIM', key, -MAX_PUSHES, -1)",
        "redis.call('LLEN', key)",
        test_pushes.test_a_hundred_failing_pushes_leave_twenty_small_entries,
    ),
    Mutant(
        "the list outlives the retention",
        "redis.call('PEXPIRE', key, channel.retention_ms)",
        "redis.call('PEXPIRE', key, channel.retention_ms * 10)",
        test_pushes.test_a_hundred_failing_pushes_leave_twenty_small_entries,
    ),
)
