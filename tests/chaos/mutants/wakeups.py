"""Wake-ups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaos.mutants.mutant import TAIL, Mutant
from integration.drain import test_wakeup, test_waking

if TYPE_CHECKING:
    from redis import Redis

_LISTEN = "redis.call('ZADD', listeners, now + LISTEN_MS, drain)"


def _busy(redis: Redis) -> None:
    test_wakeup.test_a_drain_does_not_leave_while_it_has_a_push_in_flight(redis, 1001, soon=False)


WAKE_UPS = (
    Mutant("an enqueue does not ring", TAIL.format("nil", 0) + "\nreturn reply", "return reply"),
    Mutant(
        "a turn does not ring",
        "ring(prefix, bell, channel, gate, now, free < 0 and SOON_MS or 0)",
        "",
        test_wakeup.test_a_drain_whose_slice_is_over_rings_for_what_it_leaves,
    ),
    Mutant("a sweep does not ring", TAIL.format("gate", "SOON_MS"), ""),
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
    Mutant(
        "a drain leaves its pushes",
        "local leaves = not soon and busy == 0",
        "local leaves = not soon",
        _busy,
    ),
    Mutant(
        "a drain leaves its claims",
        "local soon = #claims > 0 or ",
        "local soon = ",
        test_wakeup.test_a_drain_that_claims_does_not_leave,
    ),
    Mutant("nobody listens", _LISTEN, "", test_wakeup.test_a_drain_with_a_free_place_needs_no_ring),
    Mutant(
        "a ring is never answered",
        "  redis.call('DEL', prefix .. 'pending')\n",
        "",
        test_wakeup.test_a_drains_first_turn_answers_the_ring,
    ),
    Mutant(
        "a drain that stays leaves",
        " and not (stays and wait < 0 and why == 'empty')",
        "",
        test_waking.test_a_drain_that_stays_listens_until_it_says_otherwise,
    ),
    Mutant(
        "a drain stays whatever it waits for",
        " and not (stays and wait < 0 and why == 'empty')",
        " and not stays",
        test_waking.test_no_drain_stays_for_what_is_due_later,
    ),
    Mutant(
        "no listener wakes",
        "    wake(prefix)\n",
        "",
        test_waking.test_a_message_wakes_one_listener_and_rings_for_nobody,
    ),
    Mutant(
        "each message wakes",
        "  if redis.call('LLEN', prefix .. 'wake') == 0 then\n",
        "  do\n",
        test_waking.test_a_message_wakes_one_listener_and_rings_for_nobody,
    ),
    Mutant(
        "a turn wakes",
        "  ring(prefix, bell, channel, gate, now, free < 0 and SOON_MS or 0)\nend",
        "end\ntail(prefix, bell, channel, gate, now, free < 0 and SOON_MS or 0)",
        test_waking.test_a_turn_wakes_nobody,
    ),
    Mutant("a lost ring is waited for", "now - pending < TICKET_MS", "true"),
)
