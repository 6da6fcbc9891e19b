"""When a message joins, when it is too late for it: what a caller may say, and how the script takes it."""

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest

from pushlane.errors import InvalidMessage
from pushlane.send_options import MAX_AHEAD_DAYS, NO_OPTIONS, SendOptions

NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("not_before", "due"),
    [
        (None, ""),
        (1.5, "+1500"),
        (0, "+0"),
        (-7, "+0"),
        (0.0001, "+1"),
        (timedelta(minutes=2), "+120000"),
        (timedelta(days=-2), "+0"),
        (datetime(2026, 11, 22, 12, tzinfo=UTC), "1795348800000"),
        (datetime(2026, 11, 22, 14, tzinfo=timezone(timedelta(hours=2))), "1795348800000"),
        (NOON, "1795348800124"),
        (datetime(1, 1, 1, tzinfo=UTC), "0"),
        (-1.797e308, "+0"),
    ],
    ids=repr,
)
def test_a_time_is_never_rounded_to_an_earlier_one(not_before: datetime | timedelta | float | None, due: str) -> None:
    """What is relative is added to Redis's clock there; what is past is now."""
    assert SendOptions.check(None, not_before).due == due


@pytest.mark.parametrize(
    ("not_before", "problem"),
    [
        (datetime(2026, 11, 22), "no time zone"),  # noqa: DTZ001 - that is the case
        ("2026-11-22T12:00:00Z", "aware datetime"),
        (True, "not bool"),
        (math.nan, "finite"),
        (math.inf, "finite"),
        (-math.inf, "finite"),
        (timedelta(days=MAX_AHEAD_DAYS + 1), "at most 3650 days"),
        (10**400, "at most 3650 days"),
        (datetime.max.replace(tzinfo=UTC), "at most 3650 days"),
    ],
    ids=repr,
)
def test_a_time_that_is_none_is_refused(not_before: object, problem: str) -> None:
    """The error names the argument and what would be right."""
    with pytest.raises(InvalidMessage, match=problem) as caught:
        SendOptions.check(None, not_before)  # type: ignore[arg-type] # that is the case
    assert caught.value.field == "not_before"


@pytest.mark.parametrize(
    ("expires_in", "expires"), [(None, ""), (2, "2000"), (1e-9, "1"), (timedelta(days=1), "86400000")]
)
def test_a_span_counts_in_milliseconds(expires_in: timedelta | float | None, expires: str) -> None:
    """The least one is a millisecond: 0 would mean never."""
    assert SendOptions.check("key", expires_in=expires_in) == SendOptions("key", "", expires)


@pytest.mark.parametrize(
    ("expires_in", "problem"),
    [
        (0, "more than 0"),
        (timedelta(seconds=-1), "more than 0"),
        (-1.797e308, "more than 0"),
        (-(10**400), "more than 0"),
        (math.nan, "finite"),
        (False, "not bool"),
        ("5", "seconds or a timedelta"),
        (NOON, "seconds or a timedelta"),
        (1e300, "at most 3650 days"),
    ],
    ids=repr,
)
def test_a_span_that_is_none_is_refused(expires_in: object, problem: str) -> None:
    """A message that nobody could ever deliver in time is a mistake."""
    with pytest.raises(InvalidMessage, match=problem) as caught:
        SendOptions.check(None, expires_in=expires_in)  # type: ignore[arg-type] # that is the case
    assert caught.value.field == "expires_in"


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("2026-11-22T12:00:00Z", "1795348800000"),
        ("2026-11-22t12:00:00z", "1795348800000"),
        ("2026-11-22T14:00:00.000+02:00", "1795348800000"),
        ("2026-11-22T12:00:00.1234567Z", "1795348800124"),
    ],
)
def test_json_takes_times_of_rfc_3339(text: str, due: str) -> None:
    """The zone is part of them."""
    assert SendOptions.from_json(None, text, None) == SendOptions(None, due)


@pytest.mark.parametrize(
    "value",
    ["2026-11-22", "2026-11-22T12:00:00", "2026-11-22 12:00:00Z", "2026-13-22T12:00:00Z", "now", "", 5, True, []],
)
def test_json_takes_no_other_times(value: object) -> None:
    """A date without a zone could be any of 26 hours."""
    with pytest.raises(InvalidMessage, match="RFC 3339") as caught:
        SendOptions.from_json(None, value, None)
    assert caught.value.field == "not_before"


@pytest.mark.parametrize("value", [0, -1, -1.797e308, 1.797e308, 10**4000, "5", True, math.nan, []])
def test_json_takes_no_other_spans(value: object) -> None:
    """The error names the field as JSON has it."""
    with pytest.raises(InvalidMessage) as caught:
        SendOptions.from_json(None, None, value)
    assert caught.value.field == "expires_in_s"


def test_no_options_are_the_default() -> None:
    """A message without any joins at once and never expires."""
    assert SendOptions.check(None) == SendOptions.from_json(None, None, None) == NO_OPTIONS
