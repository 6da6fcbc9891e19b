"""What the queue never loses, doubles or mixes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaos.mutants.mutant import Mutant
from integration.drain import test_settle, test_turn
from integration.enqueue import test_idempotency
from integration.gate import test_given_up_push

if TYPE_CHECKING:
    from redis import Redis

_POP = "redis.call('LPOP', prefix .. 'conversation:' .. conversation, #ids)"


def _remembered(redis: Redis) -> None:
    test_settle.test_a_delivered_message_is_remembered_without_its_text(redis, 60_000, 86_400_000, 86_390_000)


def _same_length(redis: Redis) -> None:
    test_turn.test_a_batch_ends_where_sender_or_receiver_changes(redis, test_turn.ALICE.swapcase())


QUEUE = (
    Mutant("a claim pops", "    claims[#claims + 1] = claimed\n", f"    claims[#claims + 1] = claimed\n    {_POP}\n"),
    Mutant("a settle checks no token", "if lease and lease.token == settled.token then", "if lease then"),
    Mutant(
        "a claimed conversation stays ready",
        "    redis.call('ZREM', prefix .. source, unpack(conversations))\n",
        "",
    ),
    Mutant("an enqueue readies a leased conversation", "unpack(ids)) == #ids then", "unpack(ids)) > 0 then"),
    Mutant("a settle keeps the lease", "      redis.call('ZREM', prefix .. 'leases', unpack(ended))\n", ""),
    Mutant("a settle keeps the claim", "      redis.call('HDEL', prefix .. 'claims', unpack(ended))\n", ""),
    Mutant(
        "a token settles twice",
        "      leases[settled.token] = nil\n",
        "",
        test_settle.test_the_counters_are_what_a_recount_gives,
    ),
    Mutant("a settle does not place", "CURRENT, put(prefix, conversation, id, head, now, due)", "CURRENT"),
    Mutant(
        "an empty conversation keeps its place",
        "  redis.call('ZREM', prefix .. 'ready', conversation)\n  redis.call('ZREM', prefix .. 'delayed'",
        "  redis.call('ZREM', prefix .. 'delayed'",
    ),
    Mutant(
        "an enqueue does not ready",
        "  set_ready(prefix, ready, now)\nend\n\nlocal reply",
        "end\nlocal reply",
    ),
    Mutant("what is due stays delayed", "    redis.call('ZREM', prefix .. 'delayed', unpack(conversations))\n", ""),
    Mutant("a repeated turn runs again", "if again then", "if false then"),
    Mutant(
        "a repeated enqueue is new",
        "local record = any_live and read_header(prefix, id) or ''",
        "local record = ''",
    ),
    Mutant(
        "an enqueue knows nothing that is finished", "  if tombstone then\n    return", "  if false then\n    return"
    ),
    Mutant(
        "a client that repeats its call sends anew",
        "if any_live or not fresh or look_up(ARGV[FIRST]) then",
        "if not fresh then",
        test_idempotency.test_a_client_may_repeat_a_call_whose_ids_it_drew,
    ),
    Mutant(
        "a batch mixes senders",
        " or string.sub(record, HEAD_BEGINS, batch.head_end) ~= batch.head then",
        " then",
        _same_length,
    ),
    Mutant(
        "a batch has no limit",
        "#batch.ids, limit - 1)",
        "#batch.ids, -1)",
        test_turn.test_a_batch_holds_at_most_ten_messages,
    ),
    Mutant("losses are not counted", "settled.lost and math.min(number(details, 'losses') + 1, 99) or 0", "0"),
    Mutant(
        "losses are never forgotten",
        "+ 1, 99) or 0",
        "+ 1, 99) or number(details, 'losses')",
        test_settle.test_losses_count_only_in_a_row,
    ),
    Mutant("attempts are not counted", "number(details, 'attempts') + cost", "number(details, 'attempts')"),
    Mutant("the push that delivers is no attempt", "math.min(attempts + 1, 9999), ended", "attempts, ended"),
    Mutant(
        "followers of a push that was given up go at once",
        "    if settled.reason == 'u' then\n",
        "    if false then\n",
        test_given_up_push.test_what_comes_after_a_push_that_was_given_up_waits_as_well,
    ),
    Mutant(
        "a probe cuts a rest short",
        " and rests_until(prefix, first[1]) <= now\n",
        "\n",
        test_given_up_push.test_a_probe_does_not_cut_a_rest_short,
    ),
    Mutant(
        "rests are never over",
        "  redis.call('ZPOPMIN', resting, math.min(over, MAX_MOVED))\n",
        "",
        test_given_up_push.test_a_rest_that_is_over_leaves_nothing,
    ),
    Mutant(
        "one call forgets all rests",
        "math.min(over, MAX_MOVED)",
        "over",
        test_given_up_push.test_a_sweep_forgets_no_more_rests_than_it_has_time_for,
    ),
    Mutant(
        "no guard on a rest's clock",
        "    end_rests(prefix, channel, now)\n    make_ready",
        "    make_ready",
        test_given_up_push.test_a_clock_that_steps_back_makes_nobody_rest_for_longer,
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
        "    ready[i] = order + (i + 1) / 2\n",
        "    ready[i] = -order - (i + 1) / 2\n",
        test_turn.test_conversations_take_strict_turns,
    ),
    Mutant(
        "the idempotency window is forgotten",
        " or now < accepted + channel.idempotency_ms",
        "",
        _remembered,
    ),
    Mutant(
        "finished messages are kept for ever",
        "      redis.call('PEXPIRE', hash, longest_kept_ms(channel))\n",
        "",
        _remembered,
    ),
    Mutant("a delivered message keeps its record", "      redis.call('UNLINK', unpack(gone))\n", ""),
    Mutant(
        "each generation of tombstones lasts for ever",
        "if math.abs(now - last) >= lasts_ms then",
        "if last == 0 then",
        test_settle.test_generations_of_tombstones_follow_each_other,
    ),
    Mutant(
        "only the present generation is searched",
        "'generation', 'generation_before')",
        "'generation', 'generation')",
        test_settle.test_generations_of_tombstones_follow_each_other,
    ),
    Mutant("details outlive their message", "    redis.call('HDEL', prefix .. 'details', id, id .. TRACE)\n", ""),
    Mutant(
        "a trace context outlives its message",
        "    redis.call('HDEL', prefix .. 'details', id, id .. TRACE)\n",
        "    redis.call('HDEL', prefix .. 'details', id)\n",
    ),
    Mutant("a claim lacks its trace contexts", "(redis.call('HGET', prefix .. 'details', id .. TRACE) or '')", "''"),
    Mutant("a trace context is not stored", "if trace ~= '' then", "if false then"),
    Mutant("a record does not tell of its details", "(mark == '-' and 'd' or mark)", "mark"),
)
