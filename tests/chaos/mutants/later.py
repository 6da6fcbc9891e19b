"""Messages for later, and messages that expire."""

from __future__ import annotations

from chaos.mutants.mutant import Mutant
from integration.drain import test_expiry, test_schedule

LATER = (
    Mutant("a scheduled message joins too early", "'scheduled', '-inf', now,", "'scheduled', '-inf', now + 1,"),
    Mutant(
        "scheduled messages of one time join in any order",
        "return field(record, 'sequence') .. id",
        "return '00000000000000' .. id",
        test_schedule.test_scheduled_messages_of_the_same_time_join_in_the_order_of_acceptance,
    ),
    Mutant(
        "a message that joins is not stamped",
        "with(details, 'joined', ms(now))",
        "details",
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
    Mutant("expired messages are claimed", "return expires > 0 and expires <= now", "return false"),
    Mutant("a message expires a millisecond late", "expires > 0 and expires <= now", "expires > 0 and expires < now"),
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
)
