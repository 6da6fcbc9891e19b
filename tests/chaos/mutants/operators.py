"""What operators do: pauses and skips."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaos.mutants.mutant import TAIL, Mutant
from integration.gate import test_pause
from integration.operators import test_blocked, test_replay
from support.queue import Queue, settle

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from redis import Redis


def _skip_in_flight(redis: Redis) -> None:
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    assert queue.turn().claims
    assert queue.skip("a") == ["not_blocked"]


def _skip_a_retry(redis: Redis) -> None:
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    (claim,) = queue.turn().claims
    queue.turn(settle(claim, Outcome.FAILED, dead="0", wait_ms=0), free=-1)
    assert queue.turn().claims
    assert queue.skip("a") == ["in_flight"]


OPERATORS = (
    Mutant("a pause is ignored", "if gate.paused then", "if false then"),
    Mutant("going on does not ring", TAIL.format("nil", 0) + "\nreturn changed", "return changed"),
    Mutant(
        "a second pause is a new one",
        "'HSETNX', prefix .. 'gate', 'paused', now",
        "'HSET', prefix .. 'gate', 'paused', now",
        test_pause.test_pausing_twice_is_harmless,
    ),
    Mutant("a skip takes a head in flight", "  return { 'in_flight' }\n", "", _skip_a_retry),
    Mutant(
        "a skip takes what is not blocked",
        " or not redis.call('ZSCORE', prefix .. 'blocked', conversation) then",
        " then",
        _skip_in_flight,
    ),
    Mutant(
        "a skip lets the others wait",
        "result, due = { 'skipped', id }, 0",
        "result = { 'skipped', id }",
        test_blocked.test_a_skipped_head_is_dead_and_those_behind_it_go_out_at_once,
    ),
    Mutant(
        "a delivered conversation stays blocked",
        "    unblock(prefix, settled.conversation)\n",
        "",
    ),
    Mutant(
        "an empty conversation stays blocked",
        "  if not id then\n    unblock(prefix, conversation)\n",
        "  if not id then\n    local _\n",
        test_blocked.test_an_empty_conversation_is_blocked_no_more,
    ),
    Mutant(
        "who follows a gone head is blamed for it",
        "if dropped and id and (not state_of(record) or number(details_of(prefix, id, record), 'attempts') == 0) then",
        "if false then",
        test_blocked.test_who_follows_a_cancelled_head_is_not_blamed_for_it,
    ),
    Mutant(
        "the dead stay in their list",
        "      redis.call('LREM', prefix .. 'conversation:' .. conversation, 1, id)",
        "",
        test_replay.test_what_dies_in_a_large_turn_leaves_its_list_at_once,
    ),
    Mutant(
        "a leased conversation is looked at again",
        "  redis.call('ZREM', prefix .. 'unreadable', conversation)\n  if not held",
        "  if not held",
        test_blocked.test_a_leased_conversation_is_not_looked_at_again,
    ),
    Mutant("each failure blocks anew", "'blocked', 'NX', now", "'blocked', now"),
)
