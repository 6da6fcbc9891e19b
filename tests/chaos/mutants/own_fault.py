"""Whose fault it is, the channel's or that of one conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaos.mutants.mutant import Mutant
from integration.gate import test_refused_room, test_rejecting_channel, test_throttled_room

if TYPE_CHECKING:
    from redis import Redis


def _relieved(redis: Redis) -> None:
    test_throttled_room.test_a_second_room_is_the_channel_within_a_second_or_with_no_delivery_between(
        redis, 1000, delivers=True, state="open"
    )


def _one_bad_room(redis: Redis) -> None:
    test_rejecting_channel.test_a_channel_that_rejects_everything_kills_at_most_twenty(redis, 1)


OWN_FAULT = (
    Mutant(
        "a room that is gone stops the channel",
        "  if gate.doubts > 0 then\n    return 0 -- for",
        "  if false then\n    return 0 -- for",
        test_refused_room.test_three_different_rooms_in_a_row_are_the_channel,
    ),
    Mutant(
        "one room is enough to break the channel",
        " and conversation ~= gate.refused then",
        " then",
        test_refused_room.test_a_single_room_is_asked_each_thirty_seconds_and_spends_nothing,
    ),
    Mutant(
        "the channel is in doubt for ever",
        "(gate.doubts + 1) % DOUBTS",
        "gate.doubts + 1",
        test_refused_room.test_three_different_rooms_in_a_row_are_the_channel,
    ),
    Mutant(
        "a doubt ends with a slow start",
        "      if gate.doubts == 0 then\n        cap",
        "      do\n        cap",
        test_refused_room.test_the_gate_opens_as_it_was_when_another_room_is_delivered,
    ),
    Mutant(
        "whoever was refused goes first again",
        "return refused_until(channel, gate, now)",
        "return now",
        test_refused_room.test_the_gate_opens_as_it_was_when_another_room_is_delivered,
    ),
    Mutant(
        "probes of a broken channel stay with a few rooms",
        "    return now + longest_wait(channel)\n",
        "    return now\n",
        test_refused_room.test_probes_of_a_broken_channel_go_on_from_room_to_room,
    ),
    Mutant(
        "nobody is set aside",
        "return epoch == gate.epoch and blocked_as(prefix, settled.conversation, REFUSED)",
        "return false",
        test_refused_room.test_who_was_refused_alone_is_set_aside_and_moves_the_gate_no_more,
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
        test_refused_room.test_a_single_room_is_asked_each_thirty_seconds_and_spends_nothing,
    ),
    Mutant(
        "a gate in doubt probes early",
        " and gate.doubts == 0 and rests_until",
        " and rests_until",
        test_refused_room.test_an_early_probe_does_not_cut_a_doubt_short,
    ),
    Mutant(
        "what was claimed ahead goes out through a gate in doubt",
        "(gate.paused or gate.state ~= 'open') and 1 or 0,",
        "gate_wait(gate, channel, now) ~= 0 and 1 or 0,",
        test_refused_room.test_a_gate_in_doubt_is_closed_for_what_was_claimed_ahead,
    ),
    Mutant(
        "one throttled room closes the gate",
        "  if gate.limited ~= '' and gate.limited ~= conversation and together then",
        "  if true then",
        test_throttled_room.test_one_room_that_is_throttled_waits_alone,
    ),
    Mutant(
        "a limit of the channel is never seen",
        "  if gate.limited ~= '' and gate.limited ~= conversation and together then",
        "  if false then",
        test_throttled_room.test_many_rooms_throttled_at_once_count_once,
    ),
    Mutant(
        "a delivery relieves nobody",
        "gate.rejections, gate.relieved, gate.dirty = 0, 1, true",
        "gate.rejections, gate.dirty = 0, true",
        _relieved,
    ),
    Mutant(
        "a throttled room does not rest",
        "    rest(prefix, conversation, due)\n    return due",
        "    return due",
        test_throttled_room.test_one_room_that_is_throttled_waits_alone,
    ),
    Mutant(
        "a throttled room never dies",
        "    if settled.dead ~= '' then\n      spend(prefix, conversation, ids, now, settled)\n    end\n",
        "    if settled.outcome == MISCONFIGURED then\n      spend(prefix, conversation, ids, now, settled)\n    end\n",
        test_throttled_room.test_a_room_that_is_never_let_in_dies_of_its_age,
    ),
    Mutant(
        "a throttling is an attempt",
        "local cost = settled.outcome == THROTTLED and 0 or 1",
        "local cost = 1",
        test_throttled_room.test_a_room_that_is_never_let_in_dies_of_its_age,
    ),
    Mutant(
        "rejections count by pushes",
        "math.min(gate.rejections + #ids, SUSPECT_AFTER)",
        "math.min(gate.rejections + 1, SUSPECT_AFTER)",
        test_rejecting_channel.test_a_batch_that_is_condemned_whole_counts_with_all_its_messages,
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
        test_rejecting_channel.test_a_room_of_nothing_but_rejects_dies_next_to_rooms_that_are_delivered,
    ),
)
