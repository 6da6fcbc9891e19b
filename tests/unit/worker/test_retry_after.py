"""Every form in which a server may ask for a pause, and every form that it must not be believed in."""

from datetime import UTC, datetime

import pytest

from pushlane_worker.channels.envelope import retry_after_s

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("1", 1),
        ("120", 120),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("007", 7),
        ("99999999999", 99999999999),
    ],
)
def test_seconds_are_obeyed_in_full(value: str, seconds: float) -> None:
    """F49: whole and fractional seconds count as they are; the cap belongs to the retry rules."""
    assert retry_after_s(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "Sun, 01 Mar 2026 12:01:30 GMT",
        "Sunday, 01-Mar-26 12:01:30 GMT",
        "Sun Mar  1 12:01:30 2026",
        "Sun, 01 Mar 2026 12:01:30",
        "Sun, 01 Mar 2026 12:01:30 -0000",
        "Sun, 01 Mar 2026 14:01:30 +0200",
    ],
    ids=["HTTP date", "RFC 850", "asctime", "no zone", "unknown zone", "another zone"],
)
def test_a_date_is_the_time_until_it(value: str) -> None:
    """F50: all three forms of HTTP are read, and without a zone a date is UTC."""
    assert retry_after_s(value, NOW) == 90


@pytest.mark.parametrize("value", ["Sun, 01 Mar 2026 11:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_past_date_means_now(value: str) -> None:
    """F50: a server whose clock is behind asks for no pause."""
    assert retry_after_s(value, NOW) == 0


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "   ",
        "-5",
        "+5",
        "1e3",
        "0x10",
        "nan",
        "inf",
        ".5",
        "1.",
        "1,5",
        "5 s",
        "٣",
        "soon",
        "9" * 400,
        "Sun, 99 Mar 2026 12:01:30 GMT",
        "Sun, 01 Mar 2026 25:01:30 GMT",
        "Sun, 01 Mar 99999 12:01:30 GMT",
        "Sun, 01 Mar 2026 12:01:30 +9999",
        "01 jan 12:01:30 Sun, 99999999999999999999",
        "Sun,",
        ", , ,",
        "\x00",
        "\ud800",
    ],
)
def test_what_can_not_be_read_asks_for_nothing(value: str | None) -> None:
    """F49: garbage neither raises nor becomes a pause; the channel's own schedule applies."""
    assert retry_after_s(value, NOW) is None
