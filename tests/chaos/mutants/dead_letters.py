"""Dead letters, their replay and their purge."""

from __future__ import annotations

from chaos.mutants.mutant import TAIL, Mutant
from integration.drain import test_deaths_without_push as deaths
from integration.operators import test_replay

DEAD_LETTERS = (
    Mutant(
        "a replay keeps the attempts",
        "zeros('attempts', 'part') .. ms(now)",
        "field(details, 'attempts', 'part') .. ms(now)",
    ),
    Mutant(
        "a replay forgets what may be delivered",
        "'-' .. field(details, 'flags')",
        "'--'",
    ),
    Mutant(
        "a replay keeps the time to live",
        "zeros('due', 'final')",
        "field(details, 'due', 'expires') .. zeros('final')",
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
        TAIL.format("nil", 0) + "\nreturn { replayed",
        "return { replayed",
        test_replay.test_a_replay_rings,
    ),
    Mutant(
        "a purge keeps the text",
        "    finish(prefix, channel, ids, message_keys(prefix, ids), { record }, 'x', now)\n",
        "",
        test_replay.test_a_purged_dead_letter_has_no_text_and_still_says_what_became_of_it,
    ),
    Mutant(
        "a purge forgets when it died",
        "      ended = field(details, 'final')\n",
        "",
        test_replay.test_a_purged_dead_letter_has_no_text_and_still_says_what_became_of_it,
    ),
    Mutant(
        "a sweep tells deaths of its own ms",
        "local dead, before = prefix .. 'dead', '(' .. now",
        "local dead, before = prefix .. 'dead', now",
        deaths.test_what_dies_in_the_ms_of_a_sweep_is_told_by_the_next_one,
    ),
    Mutant(
        "a sweep leaves out deaths of the last one's ms",
        "died_since(swept[1] or now)",
        "died_since('(' .. (swept[1] or now))",
        deaths.test_what_dies_in_the_ms_of_a_sweep_is_told_by_the_next_one,
    ),
    Mutant(
        "a sweep tells what a push killed",
        "if reason == 'e' or reason == 'f' then",
        "if reason then",
        deaths.test_what_a_push_killed_or_an_operator_is_not_told,
    ),
    Mutant(
        "a sweep tells all deaths",
        "dead, last, before, 'LIMIT', 0, MAX_DIED)",
        "dead, last, before)",
        deaths.test_a_sweep_tells_a_hundred_and_counts_the_rest,
    ),
)
