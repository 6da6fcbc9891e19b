"""The packed record: what the scripts write is what Python reads."""

import re
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from fakeredis import FakeRedis
from hypothesis import given
from hypothesis import strategies as st
from support.channels import channel_record

from pushlane.keys import BELL, channel_prefix
from pushlane.message import MAX_ID_BYTES
from pushlane.message_record import (
    FIELDS,
    HEADER_BYTES,
    REASON_CODES,
    REASONS,
    STATES,
    Header,
    attempts_of,
    content_end,
    conversation_of,
    first_expiry,
    from_ms,
    hold_key,
    is_unreadable,
    read_body,
    read_content,
    read_header,
    state_of,
    write_content,
)
from pushlane.scripts import source

PREFIX = channel_prefix("support")
LIBRARY = (files("pushlane") / "lua" / "lib_record.lua").read_text(encoding="utf-8")
FINGERPRINT = b"0123456789abcdef01234567"
NOW = 1_764_000_000_123
ENQUEUE = source("enqueue").partition("\n")[2]  # a fake Redis takes no ``#!lua`` line
IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda text: len(text.encode()) <= MAX_ID_BYTES
)


def written(conversation: bytes, address: bytes, body: bytes, now: int = NOW, hold: str = "") -> bytes:
    """The record as the script lays it out."""
    redis = FakeRedis()
    redis.hset(f"{PREFIX}channel", mapping=dict(channel_record().items()))
    content = write_content(FINGERPRINT, conversation, address, body)
    options = f"||{hold}" if hold else ""
    reply = redis.eval(ENQUEUE, 2, PREFIX, BELL, now, "cinnox", "id", conversation, content, options)
    assert reply == [0, 1, b"h" if hold else b"q", 0]
    record = redis.get(f"{PREFIX}message:id")
    assert isinstance(record, bytes)
    return record


def positions(table: str) -> dict[str, int]:
    """A table of bytes in the library, counted from 1."""
    found = re.search(rf"^local {table} = \{{(.*?)\}}", LIBRARY, re.MULTILINE | re.DOTALL)
    assert found
    return {name: int(value) for name, value in re.findall(r"(\w+) = (\d+)", found[1])}


def layout() -> dict[str, tuple[int, int]]:
    """The fields in the library: first and last byte."""
    first, last = positions("FIRST_BYTE"), positions("LAST_BYTE")
    assert first.keys() == last.keys()
    return {name: (first[name], last[name]) for name in first}


def header(**fields: str) -> bytes:
    """A header with each field where the library has it, padded with zeros."""
    text = ["0"] * HEADER_BYTES
    for name, value in {"version": "1", "state": "q", "reason": "-", "flags": "-", **fields}.items():
        first, last = layout()[name]
        assert len(value) <= last - first + 1
        text[first - 1 : last] = value.rjust(last - first + 1, "0")
    return "".join(text).encode()


@given(IDS, st.binary(max_size=1100), st.binary(max_size=5000), st.integers(0, 9_999_999_999_999))
def test_a_new_record_is_read_back_byte_for_byte(conversation: str, address: bytes, body: bytes, now: int) -> None:
    """F66: to the scripts, address and body are opaque bytes of any value and length."""
    record = written(conversation.encode(), address, body, now)
    assert read_content(record) == (conversation, address, body, "")
    assert (read_body(record), attempts_of(record)) == (body, 0)
    assert read_header(record) == Header(
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
    assert read_content(written(b"r" * size, b"a" * size, b"b" * size)) == ("r" * size, b"a" * size, b"b" * size, "")


def test_the_largest_body_fits() -> None:
    """MAX_MESSAGE_BYTES can be set up to what six digits can say."""
    assert len(read_content(written(b"room", b"", b"x" * 999_999))[2]) == 999_999


def test_python_reads_each_field_where_the_library_has_it() -> None:
    """The layout that stands in the library is the one that Python cuts at, field by field."""
    record = header(
        state="x",
        reason="r",
        flags="m",
        attempts="12",
        losses="3",
        sequence="45",
        accepted="67",
        joined="89",
        due="101",
        expires="106",
        final="112",
        pushed="131",
    )
    assert attempts_of(record) == 12
    assert read_header(record) == Header(
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
    assert first_expiry([header(), record, header(expires="107")]) == 106
    assert first_expiry([header()]) == 0


def test_lua_and_python_have_the_same_fields() -> None:
    """One layout stands in two languages."""
    assert {name: (field.start + 1, field.stop) for name, field in FIELDS.items()} == layout()


def test_the_fields_follow_each_other_without_a_gap() -> None:
    """No byte of the header is without a meaning, and none has two."""
    spans = sorted(layout().values())
    assert (spans[0][0], spans[-1][1]) == (1, HEADER_BYTES)
    assert [first for first, _ in spans[1:]] == [last + 1 for _, last in spans[:-1]]


def test_a_header_alone_is_enough_for_what_it_says() -> None:
    """A sweep reads the first bytes of a record only."""
    record = written(b"room", b"", b'"hi"')
    assert read_header(record[:HEADER_BYTES]) == read_header(record)


@pytest.mark.parametrize(("letter", "state"), STATES.items())
def test_every_state_has_its_letter(letter: str, state: str) -> None:
    """One letter a state, none of them shared."""
    assert read_header(header(state=letter)).state == state
    assert len(set(STATES.values())) == len(STATES)


@pytest.mark.parametrize(("letter", "reason"), [*REASONS.items(), ("-", None)])
def test_every_reason_has_its_letter(letter: str, reason: str | None) -> None:
    """A dead letter says why it died; a message that lives says nothing."""
    assert read_header(header(reason=letter)).reason == reason
    assert {reason: letter for letter, reason in REASONS.items()} == REASON_CODES


def test_a_detail_follows_the_body_and_is_always_readable() -> None:
    """A peer's own words, cut in the middle of a character, still make a status."""
    record = written(b"room", b"[]", b'"hi"')
    assert read_content(record + "zu groß".encode()[:-1]) == ("room", b"[]", b'"hi"', "zu gro\ufffd")


def test_a_record_of_a_newer_layout_has_no_state_that_we_know() -> None:
    """It belongs to a newer worker; no record at all is another case."""
    newer = header(version="2")
    assert (state_of(newer), is_unreadable(newer)) == (None, True)
    assert (state_of(b""), is_unreadable(b"")) == (None, False)
    assert (state_of(header(state="h")), is_unreadable(header())) == ("held", False)


def test_the_beginning_of_a_record_says_its_conversation_and_where_its_detail_begins() -> None:
    """Dead letters are listed without their content, which can be long."""
    record = written("zimmer ü".encode(), b"[]", b'"hi"')
    assert conversation_of(record[: HEADER_BYTES + MAX_ID_BYTES]) == "zimmer ü"
    assert content_end(record[:HEADER_BYTES]) == len(record)


def test_a_holds_key_follows_the_letter_of_its_timeout() -> None:
    """The detail of a held message."""
    record = written(b"room", b"", b"hi", hold="r60000:order 7")
    assert (state_of(record), hold_key(read_content(record)[3])) == ("held", "order 7")


def test_a_time_is_aware_utc_and_zero_is_none() -> None:
    """0 stands for what has not come; a ms is kept."""
    assert from_ms(0) is None
    assert from_ms(NOW) == datetime(2025, 11, 24, 16, 0, 0, 123_000, tzinfo=UTC)
    moment = from_ms(1)
    assert moment is not None
    assert moment.utcoffset() == timedelta(0)
