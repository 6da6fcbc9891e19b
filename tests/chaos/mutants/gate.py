"""The gate and the pace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaos.mutants.mutant import Mutant
from integration.drain import test_poison, test_turn
from integration.gate import test_early_probe, test_gate, test_pause, test_rate

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from redis import Redis


def _epoch(redis: Redis) -> None:
    test_gate.test_an_outcome_from_before_the_gates_last_change_moves_it_no_more(redis, Outcome.DELIVERED)


def _step_ahead(redis: Redis) -> None:
    test_rate.test_a_clock_that_steps_ahead_frees_no_place(redis, 86_400_000, "a turn", back=False)


GATE = (
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
        "cap, release = CAP_AT_START, redis.call('ZCARD', prefix .. 'delayed')",
        "cap, release = CAP_AT_START, 0",
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
    Mutant(
        "an early probe of unknown outcome leaves no mark",
        "    mark_maybe_delivered(prefix, ids, now)\n",
        "",
        test_early_probe.test_an_early_probe_of_unknown_outcome_is_listed_and_marked_and_is_no_attempt,
    ),
    Mutant(
        "a spared rejection passes for a death",
        "return spared and SPARED or CURRENT",
        "return CURRENT",
        test_poison.test_many_single_rejections_in_a_row_are_a_fault_of_the_channel,
    ),
    Mutant(
        "a registration changes nothing for a misconfigured gate",
        "  gate['until'], gate.doubts, gate.dirty = now, 0, true\n",
        "",
        test_pause.test_a_registration_lets_a_misconfigured_gate_probe_at_once,
    ),
)
