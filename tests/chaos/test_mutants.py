"""The tests of the tests: each of these edits breaks a promise of the queue, and something must notice.

A mutant is a textual edit of the scripts as they are sent to Redis. Most are found by the random walks of
``support.queue_machine``; those that need an exact moment name the test that finds them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, Verbosity, settings
from integration.drain import test_expiry, test_poison, test_schedule, test_settle, test_sweep, test_turn, test_wakeup
from integration.enqueue import test_full
from integration.gate import test_early_probe, test_gate, test_own_fault, test_pause, test_rate
from integration.hold import test_hold
from integration.operators import test_blocked, test_replay
from redis.exceptions import ResponseError
from support.queue import PRODUCERS, WORKERS, Queue
from support.queue_machine import walk

from pushlane import scripts
from pushlane_worker.outcome import Outcome
from pushlane_worker.store import WORKER

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

WALKS = settings(
    max_examples=200,
    stateful_step_count=50,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.generate,),  # shrinking takes a hundred times as long as finding
    report_multiple_bugs=False,
    verbosity=Verbosity.quiet,
)
NOTICED = (AssertionError, LookupError, ValueError, ResponseError)


def _walks(redis: Redis) -> None:
    walk(redis, WALKS)


def _tombstone(redis: Redis) -> None:
    test_settle.test_a_delivered_message_leaves_a_tombstone(redis, 60_000, 86_400_000, 86_390_000)


def _gate_clock(redis: Redis) -> None:
    test_gate.test_a_clock_that_steps_back_keeps_no_gate_closed(redis, "failing")


def _epoch(redis: Redis) -> None:
    test_gate.test_an_outcome_from_before_the_gates_last_change_moves_it_no_more(redis, Outcome.DELIVERED)


def _rate_clock(redis: Redis) -> None:
    test_rate.test_a_clock_that_steps_back_frees_no_place_and_closes_the_window_no_longer_than_its_length(
        redis, 3_600_000, "a turn"
    )


def _relieved(redis: Redis) -> None:
    test_own_fault.test_a_second_room_is_the_channel_within_a_second_or_with_no_delivery_between(
        redis, 1000, delivers=True, state="open"
    )


def _one_bad_room(redis: Redis) -> None:
    test_own_fault.test_a_channel_that_rejects_everything_kills_at_most_twenty(redis, 1)


def _step_ahead(redis: Redis) -> None:
    test_rate.test_a_clock_that_steps_ahead_frees_no_place(redis, 86_400_000, "a turn", back=False)


def _nearly_full(redis: Redis) -> None:
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    with test_full.memory_used(redis, 0.95):
        queue.sweep()
        assert queue.enqueue_again("a1")[0].duplicate
        with suppress(AssertionError):
            queue.enqueue("a", "a2")
        assert queue.waiting("a") == "a1"


def _roomy(redis: Redis) -> None:
    queue = Queue(redis)
    with test_full.memory_used(redis, 0.85):
        queue.sweep()
        queue.enqueue("a", "a1")


@dataclass(frozen=True)
class Mutant:
    """An edit of the scripts: ``old`` becomes ``new`` wherever it stands."""

    name: str
    old: str
    new: str
    found_by: Callable[[Redis], None] = _walks


def _skip_in_flight(redis: Redis) -> None:
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    assert queue.turn().claims
    assert queue.skip("a") == ["not_blocked"]


def _behind_a_lease(redis: Redis) -> None:
    test_hold.test_a_decision_in_the_middle_of_a_room_moves_nobody(redis, "fno")


def _timed_out(redis: Redis) -> None:
    test_hold.test_a_hold_times_out_as_its_sender_chose(redis, test_hold.RELEASE)


def _decided_before(redis: Redis) -> None:
    test_hold.test_a_timeout_does_what_was_decided_before_it(
        redis, test_hold.RELEASE, "fnot nice", ("dead", "forbidden")
    )


def _five_seconds(redis: Redis) -> None:
    test_hold.test_a_hold_times_out_only_after_five_seconds_of_sweeps(redis, test_hold.DEAD_LETTER)


def _many(redis: Redis) -> None:
    test_hold.test_one_decision_is_for_all_messages_of_its_key(redis, "a")


def _early(redis: Redis) -> None:
    test_hold.test_a_decision_may_come_before_its_message(redis, "fno", "dead")


def _listed_once(redis: Redis) -> None:
    test_hold.test_a_forbidden_message_that_is_replayed_from_the_middle_is_listed_once(redis, "held")


def _mark(redis: Redis) -> None:
    test_hold.test_a_forbidden_message_that_left_its_list_is_listed_once_by_a_replay(redis, "a settle")


_POP = "redis.call('LPOP', prefix .. 'conversation:' .. conversation, #ids)"
_TAIL = "tail(prefix, bell, channel, {}, now, {})"
_LEASED = "  if redis.call('ZSCORE', prefix .. 'leases', conversation) then\n    return\n  end\n"
_LISTEN = "redis.call('ZADD', listeners, now + LISTEN_MS, drain)"

MUTANTS = (
    # The queue's truth.
    Mutant("a claim pops", "    write_lease(prefix, gate,", f"    {_POP}\n    write_lease(prefix, gate,"),
    Mutant("a settle checks no token", "if held ~= token then", "if false then"),
    Mutant(
        "a claimed conversation stays ready",
        "  leave_places(prefix, conversation)\n  redis",
        "  redis.call('ZREM', prefix .. 'delayed', conversation)\n  redis",
    ),
    Mutant("an enqueue readies a leased conversation", "conversation, id) == 1 then", "conversation, id) > 0 then"),
    Mutant("a settle keeps the lease", "  redis.call('ZREM', prefix .. 'leases', conversation)\n", ""),
    Mutant("a settle keeps the claim", "  redis.call('HDEL', prefix .. 'claims', conversation)\n", ""),
    Mutant("a settle does not place", "  place(prefix, conversation, now, due)\n", ""),
    Mutant(
        "an empty conversation keeps its place",
        "    leave_places(prefix, conversation)\n    unblock",
        "    unblock",
    ),
    Mutant(
        "an enqueue does not ready",
        "    place(prefix, conversation, now, 0)\n  end\nend",
        "  end\nend",
    ),
    Mutant(
        "what is due stays delayed", "    redis.call('ZREM', prefix .. 'delayed', conversation)\n    set", "    set"
    ),
    Mutant("a repeated turn runs again", "if again then", "if false then"),
    Mutant(
        "a repeated enqueue is new",
        "if header ~= '' then\n    known",
        "if header ~= '' then fresh = fresh + 1 elseif false then\n    known",
    ),
    Mutant("a batch mixes senders", "batch.address ~= address or ", ""),
    Mutant(
        "a batch has no limit",
        "#batch.ids, limit - 1)",
        "#batch.ids, -1)",
        test_turn.test_a_batch_holds_at_most_ten_messages,
    ),
    Mutant(
        "losses are not counted", "settled.lost and math.min(tonumber(string.sub(record, 9, 10)) + 1, 99) or 0", "0"
    ),
    Mutant(
        "losses are never forgotten",
        "+ 1, 99) or 0",
        "+ 1, 99) or tonumber(string.sub(record, 9, 10))",
        test_settle.test_losses_count_only_in_a_row,
    ),
    Mutant(
        "attempts are not counted", "tonumber(string.sub(record, 5, 8)) + cost", "tonumber(string.sub(record, 5, 8))"
    ),
    Mutant("the push that delivers is no attempt", "(pushed and 1 or 0), 9999)", "0, 9999)"),
    Mutant(
        "followers of a push that was given up go at once",
        "    if settled.reason == 'u' then\n",
        "    if false then\n",
        test_own_fault.test_what_comes_after_a_push_that_was_given_up_waits_as_well,
    ),
    Mutant(
        "a probe cuts a rest short",
        " and rests_until(prefix, first[1]) <= now\n",
        "\n",
        test_own_fault.test_a_probe_does_not_cut_a_rest_short,
    ),
    Mutant(
        "rests are never over",
        "  redis.call('ZPOPMIN', resting, math.min(over, MAX_MOVED))\n",
        "",
        test_own_fault.test_a_rest_that_is_over_leaves_nothing,
    ),
    Mutant(
        "one call forgets all rests",
        "math.min(over, MAX_MOVED)",
        "over",
        test_own_fault.test_a_sweep_forgets_no_more_rests_than_it_has_time_for,
    ),
    Mutant(
        "no guard on a rest's clock",
        "    end_rests(prefix, channel, now)\n    make_ready",
        "    make_ready",
        test_own_fault.test_a_clock_that_steps_back_makes_nobody_rest_for_longer,
    ),
    Mutant("followers die too", "if string.sub(settled.dead, i, i) == '1' then", "if settled.dead ~= '' then"),
    Mutant(
        "the dead count as waiting",
        "  count('depth', -1)\nend",
        "end",
        test_settle.test_the_counters_are_what_a_recount_gives,
    ),
    Mutant(
        "an older turn runs again",
        "if number and tonumber(number) > tonumber(turn) then",
        "if false then",
        test_turn.test_a_turn_that_was_held_up_on_the_way_changes_nothing,
    ),
    Mutant(
        "a claimed conversation goes first again",
        "'ready', turn, conversation",
        "'ready', -turn, conversation",
        test_turn.test_conversations_take_strict_turns,
    ),
    Mutant(
        "a tombstone forgets the idempotency window",
        "channel.retention_ms, accepted + channel.idempotency_ms - now, 1)",
        "channel.retention_ms, 1)",
        _tombstone,
    ),
    # Clocks.
    Mutant("no guard on the gate's clock", "if wait > longest then", "if false then", _gate_clock),
    Mutant(
        "no guard on a lease's clock",
        "if #conversations == 0 then",
        "if false then",
        test_sweep.test_a_lease_that_ends_too_far_in_the_future_is_void,
    ),
    Mutant(
        "no guard on a backoff's clock",
        "    make_ready(prefix, void, now)\n",
        "",
        test_turn.test_a_backoff_longer_than_the_longest_is_void,
    ),
    Mutant("no guard on the rate window's clock", "  mend_rate(rate, now)\n", "", _rate_clock),
    Mutant(
        "a clock that steps back empties the window",
        "    redis.call('RPUSH', rate, math.min(tonumber(ended), now + 1))\n",
        "",
        _rate_clock,
    ),
    Mutant(
        "ends in the future stay there",
        "math.min(tonumber(ended), now + 1)",
        "tonumber(ended)",
        _rate_clock,
    ),
    Mutant(
        "no guard on a listener's clock",
        "  redis.call('ZREMRANGEBYSCORE', listeners, '(' .. (now + LISTEN_MS), '+inf')\n",
        "",
        test_wakeup.test_a_listener_from_the_future_is_void,
    ),
    Mutant(
        "no guard on a ring's clock",
        "now - pending >= 0 and ",
        "",
        test_wakeup.test_a_ring_in_the_future_counts_as_lost,
    ),
    Mutant(
        "leases are taken at once",
        "local unbroken = now - since >= UNBROKEN_MS",
        "local unbroken = true",
        test_sweep.test_a_gap_between_sweeps_starts_the_five_seconds_anew,
    ),
    Mutant(
        "a lease is taken before its time",
        "ZRANGEBYSCORE', leases, '-inf', now,",
        "ZRANGEBYSCORE', leases, '-inf', now + 20000,",
    ),
    Mutant(
        "all sweep while there is more",
        "local rests_ms = swept[3] == '' and SWEEP_EACH_MS or TAKE_OVER_MS",
        "local rests_ms = swept[3] == '' and SWEEP_EACH_MS or 0",
        test_sweep.test_only_who_left_something_goes_on_at_once,
    ),
    Mutant(
        "nobody goes on with what is left",
        " and swept[3] ~= sweeper then",
        " then",
        test_sweep.test_only_who_left_something_goes_on_at_once,
    ),
    Mutant(
        "nobody takes over what is left",
        "local rests_ms = swept[3] == '' and SWEEP_EACH_MS or TAKE_OVER_MS",
        "local rests_ms = SWEEP_EACH_MS",
        test_sweep.test_only_who_left_something_goes_on_at_once,
    ),
    Mutant("repeats are refused near the memory limit", "if fresh > 0 and redis", "if redis", _nearly_full),
    Mutant("a whole server is filled", "math.min(limit / 10, ROOM_BYTES)", "0", _nearly_full),
    Mutant("a server has no room at all", "math.min(limit / 10, ROOM_BYTES)", "ROOM_BYTES", _roomy),
    # The gate and the pace.
    Mutant("old outcomes move the gate", "if epoch ~= gate.epoch then", "if false then", _epoch),
    Mutant(
        "many probes at once",
        "gate.probe, gate.dirty = token, true",
        "gate.dirty = true",
        test_gate.test_a_broken_gate_lets_one_probe_through_at_a_time,
    ),
    Mutant(
        "the cap holds nobody",
        "math.min(free, room, gate_cap(gate, channel) - count_pushing(prefix, channel, now))",
        "math.min(free, room)",
        test_turn.test_all_drains_together_claim_no_more_than_the_gates_cap,
    ),
    Mutant(
        "a break's end releases nothing",
        "local cap, release = CAP_AT_START, delayed",
        "local cap, release = CAP_AT_START, 0",
        test_gate.test_a_delivered_probe_opens_the_gate_and_releases_what_it_delayed,
    ),
    Mutant(
        "a push leaves no trace in the window",
        "    redis.call('RPUSH', prefix .. 'rate', rate_clock(gate, now) + 1)\n",
        "",
    ),
    Mutant(
        "pushes in flight need no place",
        "redis.call('LLEN', prefix .. 'rate') + leased",
        "redis.call('LLEN', prefix .. 'rate')",
        test_rate.test_a_push_holds_its_place_until_a_window_after_its_end,
    ),
    Mutant("a step ahead is not taken out", "take_out_step(gate, channel, now, latest)\ntrim", "trim", _step_ahead),
    Mutant("a step ahead is forgotten", "  return now - gate.stepped\n", "  return now\n", _step_ahead),
    Mutant(
        "what a step ahead frees is trimmed",
        "trim_rate(prefix, channel, rate_clock(gate, now))",
        "trim_rate(prefix, channel, now)",
        _step_ahead,
    ),
    # Whose fault it is.
    Mutant(
        "a room that is gone stops the channel",
        "  if gate.doubts > 0 then\n    return 0 -- for",
        "  if false then\n    return 0 -- for",
        test_own_fault.test_three_different_rooms_in_a_row_are_the_channel,
    ),
    Mutant(
        "one room is enough to break the channel",
        " and conversation ~= gate.refused then",
        " then",
        test_own_fault.test_a_single_room_is_asked_each_thirty_seconds_and_spends_nothing,
    ),
    Mutant(
        "the channel is in doubt for ever",
        "(gate.doubts + 1) % DOUBTS",
        "gate.doubts + 1",
        test_own_fault.test_three_different_rooms_in_a_row_are_the_channel,
    ),
    Mutant(
        "a doubt ends with a slow start",
        "      cap, release = gate.cap, gate.release\n",
        "",
        test_own_fault.test_the_gate_opens_as_it_was_when_another_room_is_delivered,
    ),
    Mutant(
        "whoever was refused goes first again",
        "return refused_until(channel, gate, now)",
        "return now",
        test_own_fault.test_the_gate_opens_as_it_was_when_another_room_is_delivered,
    ),
    Mutant(
        "probes of a broken channel stay with a few rooms",
        "    return now + longest_wait(channel)\n",
        "    return now\n",
        test_own_fault.test_probes_of_a_broken_channel_go_on_from_room_to_room,
    ),
    Mutant(
        "nobody is set aside",
        "return epoch == gate.epoch and blocked_as(prefix, settled.conversation, REFUSED)",
        "return false",
        test_own_fault.test_who_was_refused_alone_is_set_aside_and_moves_the_gate_no_more,
    ),
    Mutant(
        "the first refusal is its own fault",
        "return epoch == gate.epoch and blocked_as(prefix, settled.conversation, REFUSED)",
        "return epoch == gate.epoch",
    ),
    Mutant(
        "a refusal of a broken channel is an attempt",
        "  if gate.state ~= 'open' then\n    return false\n  end\n  if settled.outcome",
        "  if settled.outcome",
        test_own_fault.test_a_single_room_is_asked_each_thirty_seconds_and_spends_nothing,
    ),
    Mutant(
        "a gate in doubt probes early",
        " and gate.doubts == 0 and rests_until",
        " and rests_until",
        test_own_fault.test_an_early_probe_does_not_cut_a_doubt_short,
    ),
    Mutant(
        "what was claimed ahead goes out through a gate in doubt",
        "(gate.paused or gate.state ~= 'open') and 1 or 0,",
        "gate_wait(gate, channel, now) ~= 0 and 1 or 0,",
        test_own_fault.test_a_gate_in_doubt_is_closed_for_what_was_claimed_ahead,
    ),
    Mutant(
        "one throttled room closes the gate",
        "  if gate.limited ~= '' and gate.limited ~= conversation and together then",
        "  if true then",
        test_own_fault.test_one_room_that_is_throttled_waits_alone,
    ),
    Mutant(
        "a limit of the channel is never seen",
        "  if gate.limited ~= '' and gate.limited ~= conversation and together then",
        "  if false then",
        test_own_fault.test_many_rooms_throttled_at_once_count_once,
    ),
    Mutant(
        "a delivery relieves nobody",
        "gate.rejections, gate.relieved, gate.dirty = 0, 1, true",
        "gate.rejections, gate.dirty = 0, true",
        _relieved,
    ),
    Mutant(
        "a throttled room does not rest",
        "  rest(prefix, conversation, due)\n  return due",
        "  return due",
        test_own_fault.test_one_room_that_is_throttled_waits_alone,
    ),
    Mutant(
        "a throttled room never dies",
        "  if settled.dead ~= '' then\n    spend(prefix, conversation, ids, now, settled)\n  end\n",
        "  if settled.outcome == MISCONFIGURED then\n    spend(prefix, conversation, ids, now, settled)\n  end\n",
        test_own_fault.test_a_room_that_is_never_let_in_dies_of_its_age,
    ),
    Mutant(
        "a throttling is an attempt",
        "local cost = settled.outcome == THROTTLED and 0 or 1",
        "local cost = 1",
        test_own_fault.test_a_room_that_is_never_let_in_dies_of_its_age,
    ),
    Mutant(
        "rejections count by pushes",
        "math.min(gate.rejections + #ids, SUSPECT_AFTER)",
        "math.min(gate.rejections + 1, SUSPECT_AFTER)",
        test_own_fault.test_a_batch_that_is_condemned_whole_counts_with_all_its_messages,
    ),
    Mutant(
        "no channel is ever suspect",
        "return gate.rejections >= SUSPECT_AFTER",
        "return false",
        _one_bad_room,
    ),
    Mutant(
        "a delivery does not start the count of rejections anew",
        "gate.rejections, gate.relieved, gate.dirty = 0, 1, true",
        "gate.relieved, gate.dirty = 1, true",
        test_own_fault.test_a_room_of_nothing_but_rejects_dies_next_to_rooms_that_are_delivered,
    ),
    # Wake-ups.
    Mutant("an enqueue does not ring", _TAIL.format("nil", 0) + "\nreturn reply", "return reply"),
    Mutant(
        "a turn does not ring",
        _TAIL.format("gate", "free < 0 and SOON_MS or 0"),
        "",
        test_wakeup.test_a_drain_whose_slice_is_over_rings_for_what_it_leaves,
    ),
    Mutant("a sweep does not ring", _TAIL.format("gate", "SOON_MS"), ""),
    Mutant(
        "a registration does not ring",
        "tail(prefix, bell, load_channel(prefix), gate, now, 0)",
        "",
        test_wakeup.test_a_registration_rings_for_work_that_waits,
    ),
    Mutant(
        "a full drain listens",
        "if claimed < free and not leaves then",
        "if not leaves then",
        test_wakeup.test_a_full_drain_does_not_listen,
    ),
    Mutant(
        "a drain that left listens",
        "if claimed < free and not leaves then",
        "if claimed < free then",
        test_wakeup.test_a_drain_that_leaves_idle_is_off_the_listeners_in_the_same_call,
    ),
    Mutant("nobody listens", _LISTEN, "", test_wakeup.test_a_drain_with_a_free_place_needs_no_ring),
    Mutant(
        "a ring is never answered",
        "  redis.call('DEL', prefix .. 'pending')\n",
        "",
        test_wakeup.test_a_drains_first_turn_answers_the_ring,
    ),
    Mutant("a lost ring is waited for", "now - pending < TICKET_MS", "true"),
    # Messages for later.
    Mutant("a scheduled message joins too early", "'scheduled', '-inf', now,", "'scheduled', '-inf', now + 1,"),
    Mutant(
        "scheduled messages of one time join in any order",
        "return string.sub(record, 19, 32) .. id",
        "return '00000000000000' .. id",
        test_schedule.test_scheduled_messages_of_the_same_time_join_in_the_order_of_acceptance,
    ),
    Mutant(
        "a message that joins is not stamped", "string.sub(record, 3, 45) .. ms(now))", "string.sub(record, 3, 45))"
    ),
    Mutant(
        "a message that joins stays scheduled",
        "  redis.call('ZREM', prefix .. 'scheduled', member)\n",
        "",
    ),
    Mutant(
        "a message that joins readies a leased conversation",
        "'conversation:' .. conversation, id) == 1 then",
        "'conversation:' .. conversation, id) > 0 then",
    ),
    Mutant(
        "a cancelled message stays scheduled",
        "  redis.call('ZREM', prefix .. 'scheduled', scheduled_member(record, id))\n",
        "",
    ),
    Mutant(
        "nobody waits for what is scheduled",
        "local scheduled = redis.call('ZRANGE', prefix .. 'scheduled', 0, 0, 'WITHSCORES')[2]",
        "local scheduled",
        test_schedule.test_a_sweep_rings_for_what_joins_within_a_second,
    ),
    Mutant(
        "a sweep takes any number of scheduled messages",
        "'scheduled', '-inf', now, 'LIMIT', 0, MAX_JOINED)",
        "'scheduled', '-inf', now)",
        test_schedule.test_a_script_lets_at_most_five_hundred_join_and_the_rest_soon_after,
    ),
    Mutant(
        "a sweep keeps quiet about the rest",
        "local more = joined or readied",
        "local more = readied",
        test_schedule.test_a_script_lets_at_most_five_hundred_join_and_the_rest_soon_after,
    ),
    Mutant(
        "what expires before its time waits for it",
        "expires > 0 and math.min(due, expires) or due",
        "due",
    ),
    # Expiry.
    Mutant("expired messages are claimed", "return expires > 0 and expires <= now", "return false"),
    Mutant("a message expires a millisecond late", "expires <= now", "expires < now"),
    Mutant("an expired message stays in the list", "        redis.call('LREM', list, 1, id)\n", ""),
    Mutant(
        "a message expires in flight",
        "  if redis.call('ZSCORE', prefix .. 'leases', conversation) then\n    return\n  end\n  local id",
        "  local id",
    ),
    Mutant(
        "drops have no bound",
        "if not id or drops_left <= 0 or not is_over",
        "if not id or not is_over",
        test_expiry.test_many_conversations_of_expired_messages_share_one_bound,
    ),
    Mutant(
        "a claim's drops have no bound",
        "drops_left - 1, drops_left > 1",
        "drops_left, true",
        test_expiry.test_many_conversations_of_expired_messages_share_one_bound,
    ),
    # Dead letters.
    Mutant(
        "a replay keeps the attempts",
        "string.sub(record, 4, 4) .. '00000000000000'",
        "string.sub(record, 4, 18)",
    ),
    Mutant(
        "a replay forgets what may be delivered",
        "'1q-' .. string.sub(record, 4, 4)",
        "'1q-' .. '-'",
    ),
    Mutant(
        "a replay keeps the time to live",
        "    .. ZERO_MS .. ZERO_MS .. ZERO_MS .. ",
        "    .. string.sub(record, 59, 84) .. ZERO_MS .. ",
    ),
    Mutant(
        "a replay fills a full channel",
        "return depth + replayed >= channel.max_queued",
        "return false",
        test_replay.test_a_full_channel_takes_no_more_and_says_so,
    ),
    Mutant("a replay takes what was purged", " or redis.call('ZREM', prefix .. 'dead', id) == 0 then", " then"),
    Mutant(
        "a replay goes to the head",
        "  redis.call('RPUSH', list, id)\n",
        "  redis.call('LPUSH', list, id)\n",
    ),
    Mutant(
        "a replay walks along long lists for ever",
        " and walked < MAX_WALKED",
        "",
        test_replay.test_a_replay_of_what_stands_in_the_middle_of_a_long_room_is_cut_short,
    ),
    Mutant(
        "a replay that was cut short is taken for a full channel",
        "taken < #ids and is_full() and 1 or 0",
        "taken < #ids and 1 or 0",
        test_replay.test_a_replay_of_what_stands_in_the_middle_of_a_long_room_is_cut_short,
    ),
    Mutant("a replay is not counted as waiting", "count('depth', replayed)\n", ""),
    Mutant(
        "a replay does not ring",
        _TAIL.format("nil", 0) + "\nreturn { replayed",
        "return { replayed",
        test_replay.test_a_replay_rings,
    ),
    Mutant(
        "a purge keeps the text",
        "    entomb(channel, key, 'x', now, false)\n",
        "",
        test_replay.test_a_purged_dead_letter_has_no_text_and_still_says_what_became_of_it,
    ),
    Mutant(
        "a purge forgets when it died",
        "    redis.call('SETRANGE', key, 84, died)\n",
        "",
        test_replay.test_a_purged_dead_letter_has_no_text_and_still_says_what_became_of_it,
    ),
    # The operator.
    Mutant("a pause is ignored", "if gate.paused then", "if false then"),
    Mutant("going on does not ring", _TAIL.format("nil", 0) + "\nreturn changed", "return changed"),
    Mutant(
        "a second pause is a new one",
        "'HSETNX', prefix .. 'gate', 'paused', now",
        "'HSET', prefix .. 'gate', 'paused', now",
        test_pause.test_pausing_twice_is_harmless,
    ),
    Mutant("a skip takes a head in flight", "  return { 'in_flight' }\n", ""),
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
        "    leave_places(prefix, conversation)\n    unblock(prefix, conversation)\n",
        "    leave_places(prefix, conversation)\n",
        test_blocked.test_an_empty_conversation_is_blocked_no_more,
    ),
    Mutant(
        "who follows a gone head is blamed for it",
        "if dropped and id and string.sub(record, 5, 8) == '0000' then",
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
        "  redis.call('ZREM', prefix .. 'unreadable', conversation)\n  if redis",
        "  if redis",
        test_blocked.test_a_leased_conversation_is_not_looked_at_again,
    ),
    # Holds.
    Mutant(
        "a held message is pushed",
        "string.sub(record, 1, 2) ~= '1q' or not add_to_batch",
        "string.sub(record, 1, 1) ~= '1' or not add_to_batch",
        test_hold.test_what_stands_before_a_held_message_goes_out,
    ),
    Mutant(
        "a held head is ready",
        "  elseif string.sub(record, 1, 2) == '1h' then\n    set_held(prefix, conversation, record, now)\n",
        "",
        test_hold.test_a_held_message_keeps_its_place_and_holds_up_its_room_alone,
    ),
    Mutant(
        "a released conversation stays held",
        "  if redis.call('ZREM', prefix .. 'held', conversation) == 1 then\n    unblock(prefix, conversation)\n  end\n",
        "",
        test_hold.test_an_allowed_message_goes_out_as_it_is,
    ),
    Mutant(
        "a held conversation is ready as well",
        "  redis.call('ZREM', prefix .. 'ready', conversation)\n"
        "  redis.call('ZREM', prefix .. 'delayed', conversation)\n"
        "  redis.call('ZREM', prefix .. 'unreadable', conversation)\n  if redis.call('ZADD',",
        "  if redis.call('ZADD',",
        test_hold.test_who_is_held_behind_a_cancelled_or_expired_failure_is_blocked_since_now,
    ),
    Mutant(
        "who is held is blamed for who was before",
        "    unblock(prefix, conversation) -- whatever was in trouble before it is gone\n",
        "",
        test_hold.test_who_is_held_behind_a_cancelled_or_expired_failure_is_blocked_since_now,
    ),
    Mutant(
        "a held head is not blocked",
        "  block(prefix, conversation, now, 'held: its head waits for a decision')\n",
        "",
        test_hold.test_a_held_head_can_be_skipped,
    ),
    Mutant(
        "the last decision stands",
        "decision, 'NX', 'PX', kept_ms",
        "decision, 'PX', kept_ms",
        test_hold.test_the_first_decision_stands,
    ),
    Mutant(
        "a decision is not kept",
        "  local decision, state = redis.call('GET', prefix .. 'decision:' .. hold_key), 'h'",
        "  local decision, state = false, 'h'",
        _early,
    ),
    Mutant(
        "a message that is forbidden at once is listed",
        "  if state ~= 'x' then\n    append",
        "  do\n    append",
        _early,
    ),
    Mutant(
        "a decision takes the messages of other keys",
        " and hold_key(record) == key",
        "",
        test_hold.test_a_decision_does_not_reach_a_message_that_is_held_for_another_key,
    ),
    Mutant("a decision has no bound", "'hold:' .. key, MAX_INSPECTED)", "'hold:' .. key, 1000)", _many),
    Mutant(
        "a decision places nothing",
        "    place(prefix, conversation, now, tonumber(due or '0'))\n  end\nend\nwrite",
        "  end\nend\nwrite",
        test_hold.test_an_allowed_message_goes_out_as_it_is,
    ),
    Mutant(
        "a decision does not ring",
        _TAIL.format("nil", 0) + "\nreturn { decision",
        "return { decision",
        test_hold.test_an_allowed_message_goes_out_as_it_is,
    ),
    Mutant(
        "a release is not stamped",
        "string.sub(record, 3, 45) .. ms(now) .. ZERO_MS .. string.sub(record, 72, 141)",
        "string.sub(record, 3, 58) .. ZERO_MS .. string.sub(record, 72, 141)",
        test_hold.test_a_release_counts_as_the_time_of_joining,
    ),
    Mutant(
        "a rewrite keeps the old text",
        "verdict == 'w' and rest or nil",
        "nil",
        test_hold.test_a_rewritten_message_has_the_new_text,
    ),
    Mutant(
        "a forbidden message has no mark",
        "'message:' .. id, 10, LISTED)",
        "'message:' .. id, 10, '00000000')",
        _listed_once,
    ),
    Mutant("a mark is never taken off", "'message:' .. id, 10, '00000000')", "'message:' .. id, 10, LISTED)", _mark),
    Mutant(
        "a hold times out after a break of the sweeps", "unbroken and end_holds() or 0", "end_holds()", _five_seconds
    ),
    Mutant("a hold never times out", "unbroken and end_holds() or 0", "0", _timed_out),
    Mutant("every timeout is a dead letter", " or releases and 'a'", "", _timed_out),
    Mutant(
        "a timeout overrules a decision",
        "redis.call('GET', prefix .. 'decision:' .. hold_key(record)) or releases",
        "releases",
        _decided_before,
    ),
    Mutant("a message that died waits for a decision", "  leave_hold(prefix, id, record)\n  redis", "  redis"),
    Mutant("a cancelled message waits for a decision", "leave_hold(prefix, id, redis.call('GET', key))\n", ""),
    Mutant(
        "a message that was released waits for a decision", "    leave_hold(prefix, id, record)\n    state", "    state"
    ),
    Mutant(
        "a hold times out too early",
        "tonumber(string.sub(head, 59, 71)) <= now then",
        "true then",
        test_hold.test_a_decision_behind_an_expired_one_is_not_lost,
    ),
    Mutant(
        "a sweep keeps quiet about the other holds",
        "or ended > 0",
        "",
        test_hold.test_many_holds_time_out_in_bounded_steps,
    ),
    Mutant(
        "a held head outlives its time to be delivered",
        "local due = expires > 0 and math.min(ends, expires) or ends",
        "local due = ends",
        test_hold.test_a_held_head_that_expires_lets_its_room_go_on,
    ),
    Mutant("a decision readies a leased conversation", _LEASED, "", _behind_a_lease),
    Mutant("each failure blocks anew", "'blocked', 'NX', now", "'blocked', now"),
    Mutant(
        "an early probe of unknown outcome leaves no mark",
        "    mark_maybe_delivered(prefix, ids, now)\n",
        "",
        test_early_probe.test_an_early_probe_of_unknown_outcome_is_listed_and_marked_and_is_no_attempt,
    ),
    Mutant(
        "a spared rejection passes for a death",
        "(outcome == SUSPECT or may_be_own and not own_fault) and 2 or 1",
        "1",
        test_poison.test_many_single_rejections_in_a_row_are_a_fault_of_the_channel,
    ),
    Mutant(
        "a registration changes nothing for a misconfigured gate",
        "  gate['until'], gate.doubts, gate.dirty = now, 0, true\n",
        "",
        test_pause.test_a_registration_lets_a_misconfigured_gate_probe_at_once,
    ),
)


@pytest.fixture
def mutate(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mutant], None]:
    """Makes every script that a test loads from now on a mutant."""
    original = scripts.source

    def apply(mutant: Mutant) -> None:
        names = dict.fromkeys(PRODUCERS, scripts.PRODUCER) | dict.fromkeys(WORKERS, WORKER)
        applies = any(mutant.old in original(name, package) for name, package in names.items())
        assert applies, f"no script holds {mutant.old!r}: this mutant tests nothing any more"

        def source(name: str, package: str = scripts.PRODUCER, *, shebang: bool = True) -> str:
            return original(name, package, shebang=shebang).replace(mutant.old, mutant.new)

        monkeypatch.setattr(scripts, "source", source)

    return apply


@pytest.mark.long
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_queue_is_noticed(redis: Redis, mutate: Callable[[Mutant], None], mutant: Mutant) -> None:
    """An edit that breaks a promise fails the random walks or the exact test."""
    mutate(mutant)
    with pytest.raises(NOTICED):
        mutant.found_by(redis)
