"""Clocks that step, sweeps, and a server that is nearly full."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from chaos.mutants.mutant import Mutant
from integration.drain import test_sweep, test_turn, test_wakeup
from integration.enqueue import test_full
from integration.gate import test_gate, test_rate
from support.queue import Queue

if TYPE_CHECKING:
    from redis import Redis


def _gate_clock(redis: Redis) -> None:
    test_gate.test_a_clock_that_steps_back_keeps_no_gate_closed(redis, "failing")


def _rate_clock(redis: Redis) -> None:
    test_rate.test_a_clock_that_steps_back_frees_no_place_and_closes_the_window_no_longer_than_its_length(
        redis, 3_600_000, "a turn"
    )


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


CLOCKS = (
    Mutant("no guard on the gate's clock", "if wait > longest then", "if false then", _gate_clock),
    Mutant(
        "no guard on a lease's clock",
        "if #conversations == 0 then\n    conversations",
        "if false then\n    conversations",
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
    Mutant("repeats are refused near the memory limit", "if new > 0 and redis", "if redis", _nearly_full),
    Mutant("a whole server is filled", "math.min(limit / 10, ROOM_BYTES)", "0", _nearly_full),
    Mutant("a server has no room at all", "math.min(limit / 10, ROOM_BYTES)", "ROOM_BYTES", _roomy),
)
