"""How numbers, times and text from outside look on the page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pushlane.callback.page import formats

AT = datetime(2026, 11, 30, 8, 5, 9, 900_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (86_400 + 60, "1 d"),
        (90_000, "1 d 1 h"),
        (400 * 86_400, "400 d"),
    ],
)
def test_a_length_of_time_has_two_units(seconds: float, shown: str) -> None:
    """The two largest; a clock that is behind makes it 0."""
    assert formats.span(seconds) == shown


def test_times_are_in_utc() -> None:
    """For people and for machines, whatever zone they come in."""
    elsewhere = AT.astimezone(timezone(timedelta(hours=8)))
    assert formats.moment(elsewhere) == "2026-11-30 08:05:09"
    assert formats.clock(elsewhere) == "08:05:09"
    assert formats.machine(elsewhere) == "2026-11-30T08:05:09Z"
    assert formats.age(elsewhere, AT + timedelta(minutes=5)) == "5 min"
    assert formats.age(None, AT) == ""


def test_text_from_outside_controls_nothing_around_it() -> None:
    """What turns the reading direction, or is invisible, is shown as what it is; lists cut what is long."""
    assert formats.shown("a\u202eb\u200b\x1b\ud800") == "a\\u202eb\\u200b\\x1b\\ud800"
    assert formats.short("x" * 201) == "x" * 200 + "…"
    assert formats.short("x" * 200) == "x" * 200
    assert formats.short("\u202e" * 5, 2) == "\\u202e\\u202e…"


def test_numbers_have_separators_and_nouns() -> None:
    """One message, two messages."""
    assert formats.number(1_234_567) == "1,234,567"
    assert (formats.counted(1, "message"), formats.counted(2000, "message")) == ("1 message", "2,000 messages")
