"""A message's record and its details: what the scripts write is what Python reads."""

import re
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_scripts import PREFIX, fake_redis, script

from pushlane.keys import BELL
from pushlane.message import MAX_ID_BYTES
from pushlane.message_record import (
    DETAILS,
    DETAILS_BYTES,
    FIELDS,
    HEADER_BYTES,
    REASON_CODES,
    REASONS,
    STATES,
    Header,
    attempts_of,
    conversation_of,
    first_expiry,
    from_ms,
    history_of,
    hold_key,
    is_unreadable,
    read_body,
    read_content,
    read_header,
    state_of,
    text_of,
    write_content,
)

LIBRARY = (files("pushlane") / "lua" / "lib_record.lua").read_text(encoding="utf-8")
FINGERPRINT = b"0123456789abcdef01234567"
NOW = 1_764_000_000_123
NEW = b""
"""The details of a message that has none."""
IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda text: len(text.encode()) <= MAX_ID_BYTES
)


def written(
    conversation: bytes, address: bytes, body: bytes, now: int = NOW, options: str = "", state: bytes = b"q"
) -> tuple[bytes, bytes]:
    """The record and the details as the script lays them out; no details if it writes none."""
    redis = fake_redis()
    content = write_content(FINGERPRINT, conversation, address, body)
    reply = redis.eval(
        script("enqueue"), 2, PREFIX, BELL, now, "cinnox", int(not options), "id", conversation, content, options
    )
    assert reply == [0, 1, state, 0]
    record, details = redis.get(f"{PREFIX}message:id"), redis.hget(f"{PREFIX}details", "id")
    assert isinstance(record, bytes)
    assert isinstance(details, bytes | None)
    return record, details or NEW


def positions(table: str) -> list[dict[str, int]]:
    """A table of bytes in the library, counted from 1: the fields of the header, and those of the details."""
    found = re.search(rf"^local {table} = \{{(.*?)\}}", LIBRARY, re.MULTILINE | re.DOTALL)
    assert found
    blocks = [{name: int(at) for name, at in re.findall(r"(\w+) = (\d+)", block)} for block in found[1].split("\n\n")]
    assert len(blocks) == 2
    assert not blocks[0].keys() & blocks[1].keys(), "a name says which of both it is in"
    return blocks


def layout(part: int) -> dict[str, tuple[int, int]]:
    """The fields in the library, of the header (0) or of the details (1): first and last byte."""
    first, last = positions("FIRST_BYTE")[part], positions("LAST_BYTE")[part]
    assert first.keys() == last.keys()
    return {name: (first[name], last[name]) for name in first}


def filled(part: int, size: int, fields: dict[str, str]) -> bytes:
    """A text of this size with each field where the library has it, padded with zeros."""
    text = ["0"] * size
    for name, value in fields.items():
        first, last = layout(part)[name]
        assert len(value) <= last - first + 1
        text[first - 1 : last] = value.rjust(last - first + 1, "0")
    return "".join(text).encode()


def header(**fields: str) -> bytes:
    """A record's header with these fields."""
    return filled(0, HEADER_BYTES, {"version": "2", "state": "q", "mark": "-", **fields})


def details(**fields: str) -> bytes:
    """Details with these fields."""
    return filled(1, DETAILS_BYTES, {"reason": "-", "flags": "-", **fields})


@given(IDS, st.binary(max_size=1100), st.binary(max_size=5000), st.integers(0, 9_999_999_999_999))
def test_a_new_record_is_read_back_byte_for_byte(conversation: str, address: bytes, body: bytes, now: int) -> None:
    """F66: to the scripts, address and body are opaque bytes of any value and length."""
    record, found = written(conversation.encode(), address, body, now)
    assert read_content(record) == (conversation, address, body)
    assert (read_body(record), found) == (body, NEW)
    assert read_header(record, found) == Header(
        state="queued",
        reason=None,
        maybe_delivered=False,
        attempts=0,
        losses=0,
        sequence=1,
        accepted_ms=now,
        joined_ms=now,
        due_ms=0,
        final_ms=0,
        pushed_ms=0,
    )


@pytest.mark.parametrize("size", [1, 9, 10, 99, 100, 256])
def test_an_id_of_any_length_shifts_nothing(size: int) -> None:
    """The lengths are padded: one, two and three digits stand in the same place."""
    record, _ = written(b"r" * size, b"a" * size, b"b" * size)
    assert read_content(record) == ("r" * size, b"a" * size, b"b" * size)


def test_the_largest_body_fits() -> None:
    """MAX_MESSAGE_BYTES can be set up to this."""
    record, _ = written(b"room", b"", b"x" * 999_999)
    assert len(read_content(record)[2]) == 999_999


def test_a_message_with_options_has_details_and_the_same_record() -> None:
    """What only some messages have is in a text of its own; the record differs by the mark that says so."""
    plain, none = written(b"room", b"[]", b'"hi"')
    record, found = written(b"room", b"[]", b'"hi"', options="|5000||")
    assert (none, len(found)) == (NEW, DETAILS_BYTES)
    assert (plain[FIELDS["mark"]], record[FIELDS["mark"]]) == (b"-", b"d")
    assert plain.replace(b"2q-", b"2qd", 1) == record
    assert first_expiry([found]) == NOW + 5000
    assert read_header(record, found) == read_header(plain, NEW)


def test_a_trace_is_beside_the_record_which_differs_by_its_mark_alone() -> None:
    """So messages of different traces go in one push; `test_random_walk` shows where their contexts come out again."""
    plain, _ = written(b"room", b"[]", b'"hi"')
    record, found = written(b"room", b"[]", b'"hi"', options=f"||00-{1:032x}-{2:016x}-01|")
    assert found == NEW
    assert plain.replace(b"2q-", b"2qd", 1) == record


def test_a_scheduled_message_has_not_joined_its_conversation() -> None:
    """It does when it is due."""
    found = read_header(*written(b"room", b"[]", b'"hi"', options="+60000|||", state=b"s"))
    assert (found.state, found.accepted_ms, found.joined_ms, found.due_ms) == ("scheduled", NOW, 0, NOW + 60_000)


def test_python_reads_each_field_where_the_library_has_it() -> None:
    """The layout that stands in the library is the one that Python cuts at, field by field."""
    record = header(state="x", mark="d", sequence="45", accepted="67")
    found = details(
        reason="r",
        flags="m",
        attempts="12",
        losses="3",
        joined="89",
        due="101",
        expires="106",
        final="112",
        pushed="131",
    )
    assert (attempts_of(found), history_of(record, found)) == (12, (12, 89))
    assert read_header(record, found) == Header(
        state="dead",
        reason="rejected",
        maybe_delivered=True,
        attempts=12,
        losses=3,
        sequence=45,
        accepted_ms=67,
        joined_ms=89,
        due_ms=101,
        final_ms=112,
        pushed_ms=131,
    )
    assert first_expiry([details(), NEW, found, details(expires="107")]) == 106
    assert first_expiry([details(), NEW]) == 0
    assert first_expiry([]) == 0


def test_a_message_without_details_was_never_pushed_and_has_joined_when_it_was_accepted() -> None:
    """No details say the same as those of a new message."""
    record = header(sequence="45", accepted="67")
    assert (attempts_of(NEW), history_of(record, NEW)) == (0, (0, 67))
    assert read_header(record, NEW) == read_header(record, details(joined="67"))


@pytest.mark.parametrize(("part", "fields"), [(0, FIELDS), (1, DETAILS)])
def test_lua_and_python_have_the_same_fields(part: int, fields: dict[str, slice]) -> None:
    """One layout stands in two languages."""
    assert {name: (field.start + 1, field.stop) for name, field in fields.items()} == layout(part)


@pytest.mark.parametrize(("part", "size"), [(0, HEADER_BYTES), (1, DETAILS_BYTES)])
def test_the_fields_follow_each_other_without_a_gap(part: int, size: int) -> None:
    """No byte of the header or the details is without a meaning, and none has two."""
    spans = sorted(layout(part).values())
    assert (spans[0][0], spans[-1][1]) == (1, size)
    assert [first for first, _ in spans[1:]] == [last + 1 for _, last in spans[:-1]]


def test_a_header_alone_is_enough_for_what_it_says() -> None:
    """A sweep reads the first bytes of a record only."""
    record, _ = written(b"room", b"", b'"hi"')
    assert read_header(record[:HEADER_BYTES], NEW) == read_header(record, NEW)


@pytest.mark.parametrize(("letter", "state"), STATES.items())
def test_every_state_has_its_letter(letter: str, state: str) -> None:
    """One letter a state, none of them shared."""
    assert read_header(header(state=letter), NEW).state == state
    assert len(set(STATES.values())) == len(STATES)


@pytest.mark.parametrize(("letter", "reason"), [*REASONS.items(), ("-", None)])
def test_every_reason_has_its_letter(letter: str, reason: str | None) -> None:
    """A dead letter says why it died; a message that lives says nothing."""
    assert read_header(header(), details(reason=letter)).reason == reason
    assert {reason: letter for letter, reason in REASONS.items()} == REASON_CODES


def test_a_text_follows_the_fields_of_the_details_and_is_always_readable() -> None:
    """A peer's own words, cut in the middle of a character, still make a status."""
    assert text_of(details(reason="r") + "zu groß".encode()[:-1]) == "zu gro\ufffd"
    assert (text_of(details()), text_of(NEW)) == ("", "")


def test_a_record_of_a_newer_layout_has_no_state_that_we_know() -> None:
    """It belongs to a newer worker; no record at all is another case."""
    newer = header(version="3")
    assert (state_of(newer), is_unreadable(newer)) == (None, True)
    assert (state_of(b""), is_unreadable(b"")) == (None, False)
    assert (state_of(header(state="h")), is_unreadable(header())) == ("held", False)


def test_the_beginning_of_a_record_says_its_conversation() -> None:
    """Dead letters are listed without their content, which can be long."""
    record, _ = written("zimmer ü".encode(), b"[]", b'"hi"')
    assert conversation_of(record[: HEADER_BYTES + MAX_ID_BYTES]) == "zimmer ü"


def test_a_holds_key_follows_the_letter_of_its_timeout() -> None:
    """The text of a held message's details."""
    record, found = written(b"room", b"", b"hi", options="|||r60000:order 7", state=b"h")
    assert (state_of(record), hold_key(found), text_of(found)) == ("held", "order 7", "rorder 7")
    assert read_header(record, found).due_ms == NOW + 60_000


def test_a_time_is_aware_utc_and_zero_is_none() -> None:
    """0 stands for what has not come; a ms is kept."""
    assert from_ms(0) is None
    assert from_ms(NOW) == datetime(2025, 11, 24, 16, 0, 0, 123_000, tzinfo=UTC)
    moment = from_ms(1)
    assert moment is not None
    assert moment.utcoffset() == timedelta(0)
