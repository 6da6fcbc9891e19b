"""Lua and Python agree on every number, letter and name that both know."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
from support.channels import channel_record
from support.script_files import FILES, LIBRARIES, PACKAGES, number, split

from pushlane import message_record, push_record
from pushlane.channel_record import CHANNEL_VERSION
from pushlane.enqueue_protocol import CHUNK, MAX_REASON_BYTES
from pushlane.hold import DECIDED, MAX_HOLD_DAYS
from pushlane.message import MAX_CHANNEL_NAME_CHARS, MAX_ID_BYTES
from pushlane.operators import actions
from pushlane.operators.decisions import DECISION_MS
from pushlane.operators.overview import PUSH_MS
from pushlane.outcome import Outcome
from pushlane_worker import settings
from pushlane_worker.channel_settings import ChannelSettings
from pushlane_worker.dispatch import sweeper
from pushlane_worker.drains import drain, handover
from pushlane_worker.queue.outcome import MAX_DETAIL_CHARS
from pushlane_worker.queue.retry import REFUSED_S
from pushlane_worker.queue.turns import Settled

CUT = re.compile(r"string\.\w+\((?:record|head|header|member|details)\b(?:\[\w+\])?, ([^)]*)\)")
"""A part of a record or of details, and where it is."""
ACCESS = re.compile(r"(?<!function )\b(field|number|with)\(((?:[^()',]|\([^()]*\))+), '(\w+)'(?:, '(\w+)'\))?")
"""A field that a script reads or changes: how, of what, its name; and of `field` the last one's name."""


def test_lua_and_python_mean_the_same_outcomes() -> None:
    """A settle counts, retries and buries by these numbers."""
    match = re.search(r"^local ([A-Z, ]+) = ([\d, ]+)$", LIBRARIES["lib_outcomes"], re.MULTILINE)
    assert match
    values = dict(zip(match[1].split(", "), map(int, match[2].split(", ")), strict=True))
    assert values == {name: Outcome[name].value for name in values}
    assert set(values) >= {outcome.name for outcome in Outcome} - {"UNSENT"}
    listed = re.search(r"^-- outcome: (.+)$", FILES["pushlane_worker", "turn"], re.MULTILINE)
    assert listed
    assert listed[1] == ", ".join(f"{outcome.value} {outcome.name.lower()}" for outcome in Outcome)


def test_every_outcome_has_its_counter() -> None:
    """The counters are looked up by an outcome's number."""
    table = re.search(r"^ *local OUTCOME_COUNTERS = \{(.*?)\}", LIBRARIES["lib_settle"], re.MULTILINE | re.DOTALL)
    assert table
    assert re.findall(r"'(\w+)'", table[1]) == [f"pushes_{outcome.name.lower()}" for outcome in Outcome]


@pytest.mark.parametrize(
    ("package", "name", "bounds"),
    [("pushlane_worker", "lib_settle", PUSH_MS), ("pushlane", "record_decisions", DECISION_MS)],
)
def test_lua_and_python_mean_the_same_buckets(package: str, name: str, bounds: tuple[int, ...]) -> None:
    """A bound that only one side knows would lose what is counted under it."""
    listed = re.search(r"local TOOK_MS = \{ ([\d, ]+) \}", FILES[package, name])
    assert listed
    assert tuple(map(int, listed[1].split(", "))) == bounds


def test_lua_and_python_mean_the_same_statuses_of_a_settlement() -> None:
    """What a drain counts as delivered or dead depends on them."""
    match = re.search(r"^ *local ([A-Z, ]+, [A-Z, ]+) = ([\d, ]+)$", LIBRARIES["lib_settle"], re.MULTILINE)
    assert match
    assert dict(zip(match[1].split(", "), map(int, match[2].split(", ")), strict=True)) == dict(Settled.__members__)
    listed = re.search(r"^-- status: (.+) \(", FILES["pushlane_worker", "turn"], re.MULTILINE)
    assert listed
    assert listed[1] == ", ".join(f"{settled.value} {settled.name.lower()}" for settled in Settled)


def third_of_a_fingerprint() -> int:
    """Where the third of it ends that is kept of a finished message, counted from 1."""
    fingerprint = message_record.FIELDS["fingerprint"]
    return fingerprint.start + (fingerprint.stop - fingerprint.start) // 3


def test_only_its_library_knows_where_the_fields_of_a_record_are() -> None:
    """A new layout is an edit of one file in each language. The previous one has a file of its own."""
    kept = f"{message_record.FIELDS['sequence'].start + 1}, {third_of_a_fingerprint()}"
    for (_, name), text in FILES.items():
        if name not in {"lib_record", "lib_old_record"}:
            # What begins or ends with all fields, by the name of their length, goes with any layout.
            places = {re.sub(r"^1, (?=#?[A-Z])|\b([A-Z_]+) \+ 1\b", r"\1", place) for place in CUT.findall(text)}
            numbered = {place for place in places if re.search(r"\d", place)}
            assert numbered <= ({kept} if name == "lib_finish" else set()), name
            assert not re.search(r"SETRANGE|GETRANGE', key, (?!0, \w+_end - 1\))", text), name
    for package in PACKAGES:
        for file in Path(str(files(package))).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"\brecord\[[\d:]+\]|\bdetails\[\d*:\d*\]", text), file


def test_what_is_kept_of_a_finished_message_is_cut_where_it_is() -> None:
    """Behind the state comes what its record had from the sequence to a third of the fingerprint, then the rest."""
    names, third = ("sequence", "accepted", "fingerprint"), third_of_a_fingerprint()
    before = message_record.FIELDS["sequence"].start - 1
    begins = {name: message_record.FIELDS[name].start + 1 - before for name in names}
    ends = {name: min(message_record.FIELDS[name].stop, third) - before for name in names}
    text = "".join(FILES.values())
    cuts = re.findall(r"string\.sub\(tombstone, (\d+), (\d+)\)", text)
    places = {(int(first), int(last)) for first, last in cuts}
    assert (begins["fingerprint"], ends["fingerprint"]) in places
    assert places <= {(1, 1)} | {(begins[first], ends[last]) for first in names for last in names}
    rests = re.findall(r"string\.match\(tombstone, '[^']+', (\d+)\)", text)
    assert {int(rest) for rest in rests} == {third - before + 1}
    assert len(cuts) + len(rests) == len(re.findall(r"string\.\w+\(tombstone\b", text)), "one is not understood"


def test_scripts_use_fields_that_there_are() -> None:
    """A wrong name would fail in the middle of a script, and one of the other table would cut anywhere."""
    code = "\n".join(line for text in FILES.values() for line in split(text)[1])
    fields, details = list(message_record.FIELDS), list(message_record.DETAILS)
    accesses = ACCESS.findall(code)
    assert len(accesses) == len(re.findall(r"(?<!function )\b(?:field|number|with)\(", code)), "one is not understood"
    spans = [
        (details if "details" in of else fields, first, last if how == "field" else "")
        for how, of, first, last in accesses
    ]
    zeros = re.findall(r"\bzeros\('(\w+)'(?:, '(\w+)')?\)", code)
    spans += [(details if first in details else fields, first, last) for first, last in zeros]
    for table, first, last in spans:
        assert first in table
        assert (last or first) in table[table.index(first) :], (first, last)
    used = {name for _, *names in spans for name in names if name}
    assert {"state", "part", "sequence", "attempts", "pushed", "conversation_bytes", "fingerprint"} <= used
    assert set(re.findall(r"\b(?:FIRST|LAST)_BYTE\.(\w+)", code)) <= {*fields, *details}


def test_the_record_and_its_details_have_one_length_of_header() -> None:
    """Both sides cut them at the same byte."""
    assert number(LIBRARIES["lib_record"], "HEADER_BYTES") == message_record.HEADER_BYTES
    assert number(LIBRARIES["lib_record"], "DETAILS_BYTES") == message_record.DETAILS_BYTES


def test_states_and_reasons_have_one_letter_on_both_sides() -> None:
    """The legends in the libraries are the tables in Python."""
    legends = {
        name: re.search(pattern, LIBRARIES[library], re.MULTILINE)
        for name, library, pattern in [
            ("state", "lib_record", r"^-- state: (.+)$"),
            ("finished", "lib_tombstone", r"^-- A tombstone is the state \((.+?)\)"),
            ("reason", "lib_record", r"^-- reason: (.+)$"),
        ]
    }
    tables = {
        name: dict(pair.split(" ") for pair in legend[1].split(", ")) for name, legend in legends.items() if legend
    }
    assert tables["state"] | tables["finished"] == message_record.STATES
    assert tables["state"].keys() & tables["finished"].keys() == {"x"}, "a purged dead letter is finished, too"
    assert tables["reason"] == {message_record.NO_REASON: "none"} | message_record.REASONS


def test_scripts_write_states_and_reasons_that_there_are() -> None:
    """Python would not know another letter."""
    text = "".join(FILES.values())
    states = set(re.findall(r"\b(?:update\(prefix, id, record, |new_record\()'([^']*)'", text))
    assert {"q", "x"} <= states <= message_record.STATES.keys() - {"d", "c"}
    reasons = set(re.findall(r"\bkill\(prefix, id, record, now, '([^']*)'", text))
    assert {"e", "f"} <= reasons <= message_record.REASONS.keys()


def test_ids_addresses_and_bodies_fit_the_records_widths() -> None:
    """A record has 3 and 4 digits for their lengths; longer ones would shift everything behind them.

    For a body it has none, but that of the previous release has 6.
    """
    assert MAX_ID_BYTES <= 999
    assert len('["", ""]') + 2 * 2 * MAX_ID_BYTES <= 9999, "two ids of nothing but quotes"
    limit = ChannelSettings.model_fields["max_message_bytes"]
    assert any(getattr(rule, "le", 0) == 999_999 for rule in limit.metadata)
    for name, digits in (("conversation_bytes", 3), ("address_bytes", 4)):
        field = message_record.FIELDS[name]
        assert field.stop - field.start == digits


def test_conversations_and_reasons_fit_what_is_read_and_kept_of_them() -> None:
    """A longer one would be cut, perhaps in the middle of a character."""
    assert number(LIBRARIES["lib_record"], "MAX_CONVERSATION_BYTES") == MAX_ID_BYTES
    kept = number(LIBRARIES["lib_record"], "MAX_TEXT_BYTES")
    assert kept >= max(4 * MAX_DETAIL_CHARS, MAX_REASON_BYTES)


def test_lua_and_python_mean_the_same_entries_of_pushes() -> None:
    """How many are kept, and how much of an id and of a detail each has."""
    text = LIBRARIES["lib_pushes"]
    assert number(text, "MAX_PUSHES") == push_record.MAX_PUSHES
    assert number(text, "ID_BYTES") == push_record.ID_CHARS
    assert number(text, "MAX_WHY_BYTES") == push_record.DETAIL_BYTES + 1


def test_a_full_drain_vouches_for_a_ring_twice_before_it_lapses() -> None:
    """One late turn must not make its ring count as lost. A full process passes a ring on when it would lapse."""
    lapses = number(LIBRARIES["lib_wake"], "TICKET_MS")
    assert lapses >= 2 * drain.VOUCH_S * 1000
    assert lapses == handover.TAKEOVER_EACH_S * 1000


def test_a_refused_conversation_is_tried_again_after_the_same_time_whoever_is_to_blame() -> None:
    """The scripts wait when it may be the channel, Python when it is the conversation."""
    assert number(LIBRARIES["lib_gate"], "REFUSED_MS") == REFUSED_S * 1000


def test_the_scripts_know_the_longest_push_and_the_longest_hold() -> None:
    """A longer wait is taken for a clock that stepped back; a decision must outlive the message that waits for it."""
    longest = number(LIBRARIES["lib_gate"], "LONGEST_PUSH_MS") / 1000
    deadline = settings.Settings.model_fields["push_deadline_s"]
    assert any(getattr(rule, "le", 0) == longest for rule in deadline.metadata)
    assert number(LIBRARIES["lib_hold"], "HOLD_KEPT_MS") >= (MAX_HOLD_DAYS + 1) * 86_400_000


def test_decisions_have_one_letter_on_both_sides() -> None:
    """Redis keeps a decision by its letter."""
    header, _ = split(FILES["pushlane", "decide"])
    assert re.findall(r"\b(\w) (?:and a \w+ )?(allow|rewrite|forbid)s", header) == list(DECIDED.items())


def test_sweeps_keep_the_pace_that_dispatchers_look_at() -> None:
    """A look finds each channel ready to be swept, and a channel that is idle counts as served until its next sweep."""
    assert number(FILES["pushlane_worker", "sweep"], "SWEEP_EACH_MS") < sweeper.LOOK_VALID_MS
    assert number(FILES["pushlane", "remove"], "SERVED_MS") > sweeper.IDLE_MS * 4 / 3


def test_the_maximum_of_a_call_is_what_its_caller_sends() -> None:
    """These bound how long one call blocks Redis."""
    for (package, script), words, size in [
        (("pushlane", "enqueue"), r"1 to ([\d,]+) messages", CHUNK),
        (("pushlane", "purge"), r"at most (\d+)", actions.PURGED_AT_ONCE),
    ]:
        said = re.search(words, split(FILES[package, script])[0])
        assert said
        assert int(said[1].replace(",", "")) == size


def test_a_listening_drain_looks_much_oftener_than_it_is_forgotten() -> None:
    """One late poll, or several, must not bring a second drain."""
    assert number(LIBRARIES["lib_wake"], "LISTEN_MS") > 10 * drain.POLL_S * 1000


def test_the_sweep_believes_every_lease_that_the_settings_allow() -> None:
    """A lease above its bound is taken for a clock that stepped back, and ends."""
    longest = number(FILES["pushlane_worker", "sweep"], "MAX_LEASE_MS")
    assert longest == settings.MAX_LEASE_S * 1000
    assert any(
        getattr(rule, "le", 0) == settings.MAX_LEASE_S for rule in settings.Settings.model_fields["lease_s"].metadata
    )


def test_a_turn_is_remembered_at_least_as_long_as_a_lease() -> None:
    """A repeat that comes while its claims still stand finds them."""
    assert number(FILES["pushlane_worker", "turn"], "TURN_KEPT_MS") >= settings.MAX_LEASE_S * 1000


def test_the_scripts_find_every_number_of_a_channel_in_its_record() -> None:
    """A field that a script reads and no worker writes would be nil in the middle of a settle."""
    table = re.search(r"^local CHANNEL_NUMBERS = \{(.*?)\}", LIBRARIES["lib_channel"], re.MULTILINE | re.DOTALL)
    assert table
    fields = channel_record()
    read = re.findall(r"'(\w+)'", table[1])
    assert set(read) <= set(fields)
    assert all(isinstance(fields[name], int) for name in read)


def test_producers_and_scripts_know_the_same_version_of_a_channels_record() -> None:
    """A producer must not read what its own scripts refuse."""
    assert number(LIBRARIES["lib_channel"], "CHANNEL_VERSION") == CHANNEL_VERSION


def test_a_channels_name_fits_the_longest_key() -> None:
    """A key of the longest channel and the longest id stays far below what Redis and people can bear."""
    assert len(f"pushlane:1:{{{'x' * MAX_CHANNEL_NAME_CHARS}}}:conversation:") + MAX_ID_BYTES < 400
