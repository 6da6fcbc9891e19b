"""Held messages and decisions on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaos.mutants.mutant import TAIL, Mutant
from integration.hold import test_deciding, test_other_ends, test_timing_out, test_waiting
from support.holds import DEAD_LETTER, RELEASE

if TYPE_CHECKING:
    from redis import Redis

_LEASED = "  if redis.call('ZSCORE', prefix .. 'leases', conversation) then\n    return\n  end\n"


def _behind_a_lease(redis: Redis) -> None:
    test_deciding.test_a_decision_in_the_middle_of_a_room_moves_nobody(redis, "fno")


def _timed_out(redis: Redis) -> None:
    test_timing_out.test_a_hold_times_out_as_its_sender_chose(redis, RELEASE)


def _decided_before(redis: Redis) -> None:
    test_timing_out.test_a_timeout_does_what_was_decided_before_it(redis, RELEASE, "fnot nice", ("dead", "forbidden"))


def _five_seconds(redis: Redis) -> None:
    test_timing_out.test_a_hold_times_out_only_after_five_seconds_of_sweeps(redis, DEAD_LETTER)


def _many(redis: Redis) -> None:
    test_deciding.test_one_decision_is_for_all_messages_of_its_key(redis, "a")


def _early(redis: Redis) -> None:
    test_deciding.test_a_decision_may_come_before_its_message(redis, "fno", "dead")


def _listed_once(redis: Redis) -> None:
    test_other_ends.test_a_forbidden_message_that_is_replayed_from_the_middle_is_listed_once(redis, "held")


def _mark(redis: Redis) -> None:
    test_other_ends.test_a_forbidden_message_that_left_its_list_is_listed_once_by_a_replay(redis, "a settle")


HOLDS = (
    Mutant(
        "a held message is pushed",
        "elseif state_of(record) ~= 'q' then\n          return batch",
        "elseif not state_of(record) then\n          return batch",
        test_waiting.test_what_stands_before_a_held_message_goes_out,
    ),
    Mutant(
        "a held head is ready",
        "  elseif state_of(record) == 'h' then\n"
        "    set_held(prefix, conversation, details_of(prefix, id, record), now)\n",
        "",
        test_waiting.test_a_held_message_keeps_its_place_and_holds_up_its_room_alone,
    ),
    Mutant(
        "a released conversation stays held",
        "not held and redis.call('ZREM', prefix .. 'held', conversation) == 1",
        "false",
        test_deciding.test_an_allowed_message_goes_out_as_it_is,
    ),
    Mutant(
        "a held conversation is ready as well",
        "  redis.call('ZREM', prefix .. 'ready', conversation)\n"
        "  redis.call('ZREM', prefix .. 'delayed', conversation)\n",
        "  if not held then\n    redis.call('ZREM', prefix .. 'ready', conversation)\n"
        "    redis.call('ZREM', prefix .. 'delayed', conversation)\n  end\n",
        test_waiting.test_who_is_held_behind_a_cancelled_or_expired_failure_is_blocked_since_now,
    ),
    Mutant(
        "who is held is blamed for who was before",
        "    unblock(prefix, conversation) -- whatever was in trouble before it is gone\n",
        "",
        test_waiting.test_who_is_held_behind_a_cancelled_or_expired_failure_is_blocked_since_now,
    ),
    Mutant(
        "a held head is not blocked",
        "  block(prefix, conversation, now, 'held: its head waits for a decision')\n",
        "",
        test_other_ends.test_a_held_head_can_be_skipped,
    ),
    Mutant(
        "the last decision stands",
        "decision, 'NX', 'PX', kept_ms",
        "decision, 'PX', kept_ms",
        test_deciding.test_the_first_decision_stands,
    ),
    Mutant(
        "a decision is not kept",
        "  local decision = redis.call('GET', prefix .. 'decision:' .. key)\n",
        "  local decision = false\n",
        _early,
    ),
    Mutant(
        "a message that is forbidden at once is listed",
        "  if state == 'q' or state == 'h' then\n    append",
        "  if state ~= 's' then\n    append",
        _early,
    ),
    Mutant(
        "a decision takes the messages of other keys",
        " and hold_key(details_of(prefix, id, record)) == key",
        "",
        test_deciding.test_a_decision_does_not_reach_a_message_that_is_held_for_another_key,
    ),
    Mutant("a decision has no bound", "'hold:' .. key, MAX_INSPECTED)", "'hold:' .. key, 1000)", _many),
    Mutant(
        "a decision places nothing",
        "    place(prefix, conversation, now, tonumber(due or '0'))\n  end\nend\nwrite",
        "  end\nend\nwrite",
        test_deciding.test_an_allowed_message_goes_out_as_it_is,
    ),
    Mutant(
        "a decision does not ring",
        TAIL.format("nil", 0) + "\nreturn { decision",
        "return { decision",
        test_deciding.test_an_allowed_message_goes_out_as_it_is,
    ),
    Mutant(
        "a release is not stamped",
        "'joined', ms(now) .. zeros('due'))",
        "'due', zeros('due'))",
        test_deciding.test_a_release_counts_as_the_time_of_joining,
    ),
    Mutant(
        "a rewrite keeps the old text",
        "verdict == 'w' and rest or nil",
        "nil",
        test_deciding.test_a_rewritten_message_has_the_new_text,
    ),
    Mutant(
        "a forbidden message has no mark",
        "set_listed(prefix, id, record, true)",
        "set_listed(prefix, id, record, false)",
        _listed_once,
    ),
    Mutant(
        "a mark is never taken off",
        "set_listed(prefix, id, record, false)",
        "set_listed(prefix, id, record, true)",
        _mark,
    ),
    Mutant(
        "a hold times out after a break of the sweeps", "unbroken and end_holds() or 0", "end_holds()", _five_seconds
    ),
    Mutant("a hold never times out", "unbroken and end_holds() or 0", "0", _timed_out),
    Mutant("every timeout is a dead letter", " or hold_releases(details) and 'a'", "", _timed_out),
    Mutant(
        "a timeout overrules a decision",
        "redis.call('GET', prefix .. 'decision:' .. hold_key(details)) or hold_releases",
        "hold_releases",
        _decided_before,
    ),
    Mutant(
        "a message that died waits for a decision",
        "  leave_hold(prefix, id, record, details)\n  update",
        "  update",
    ),
    Mutant(
        "a cancelled message waits for a decision",
        "    leave_hold(prefix, id, record, details)\n    redis",
        "    redis",
    ),
    Mutant(
        "a message that was released waits for a decision",
        "    leave_hold(prefix, id, record, details)\n    state",
        "    state",
    ),
    Mutant(
        "a hold times out too early",
        "number(details_of(prefix, id, head), 'due') <= now then",
        "true then",
        test_other_ends.test_a_decision_behind_an_expired_one_is_not_lost,
    ),
    Mutant(
        "a sweep keeps quiet about the other holds",
        "or ended > 0",
        "",
        test_timing_out.test_many_holds_time_out_in_bounded_steps,
    ),
    Mutant(
        "a held head outlives its time to be delivered",
        "local due = expires > 0 and math.min(ends, expires) or ends",
        "local due = ends",
        test_other_ends.test_a_held_head_that_expires_lets_its_room_go_on,
    ),
    Mutant("a decision readies a leased conversation", _LEASED, "", _behind_a_lease),
)
