"""How long an answer of CINNOX asks to pause, and what is told of it."""

import pytest
from support.cinnox import answer

from pushlane.outcome import Outcome
from pushlane_worker.channels.cinnox import Cinnox
from pushlane_worker.queue.outcome import MAX_DETAIL_CHARS

DELIVERED, THROTTLED, MISCONFIGURED = Outcome.DELIVERED, Outcome.THROTTLED, Outcome.MISCONFIGURED
REJECTED, FAILED, UNKNOWN = Outcome.REJECTED, Outcome.FAILED, Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("status", "body"),
    [(429, b""), (503, b"<html>"), (429, b'{"code":6451001}'), (503, b'{"code":6451001}'), (200, b'{"code":6451010}')],
)
def test_a_pause_is_asked_for_by_status_or_code(cinnox: Cinnox, status: int, body: bytes) -> None:
    """F49, F53: the pause goes on, also under a code that says only "failed"."""
    result = cinnox.read(answer(status, body, {"retry-after": "7"}))
    assert (result.outcome, result.retry_after_s) == (THROTTLED, 7)


@pytest.mark.parametrize("value", ["-5", "soon", "nan"])
def test_an_unreadable_pause_still_throttles(cinnox: Cinnox, value: str) -> None:
    """F49: who sends a Retry-After wants a pause, even one that we must measure ourselves."""
    for status in (429, 503):
        result = cinnox.read(answer(status, b"", {"retry-after": value}))
        assert (result.outcome, result.retry_after_s) == (THROTTLED, None)


def test_a_past_date_is_a_pause_of_nothing(cinnox: Cinnox) -> None:
    """F50: dates go through the same clock."""
    result = cinnox.read(answer(429, b"", {"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}))
    assert result.retry_after_s == 0


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_pause_is_none(cinnox: Cinnox, value: str) -> None:
    """A 503 with an empty header is a 503 without one."""
    assert cinnox.read(answer(503, b"", {"retry-after": value})).outcome is FAILED


@pytest.mark.parametrize(("status", "body"), [(200, b'{"code":0}'), (500, b""), (301, b""), (401, b"")])
def test_a_pause_belongs_to_nothing_else(cinnox: Cinnox, status: int, body: bytes) -> None:
    """A Retry-After on another outcome closes no gate."""
    assert cinnox.read(answer(status, body, {"retry-after": "7"})).retry_after_s is None


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"code": 6451000, "message": "wrong parameter"}, "HTTP 400, code 6451000: wrong parameter"),
        ({"code": 6451000.0, "message": ""}, "HTTP 400, code 6451000"),
        ({"code": 1}, "HTTP 400, code 1"),
        ({"code": 1, "message": {"no": "text"}}, "HTTP 400, code 1"),
        ({"code": 1, "message": "a\r\n\x1b[31mb\x00\u202e\u2028c\ud800 "}, "HTTP 400, code 1: a [31mb c"),
        ({"code": 1, "message": "größer 漢字 🙂"}, "HTTP 400, code 1: größer 漢字 🙂"),
        (b"", "HTTP 400, no answer"),
        (b"\n", "HTTP 400, no answer"),
        (b"<h1>\nBad\xff", "HTTP 400, no readable answer: <h1> Bad\ufffd"),
    ],
)
def test_the_detail_is_one_printable_line(cinnox: Cinnox, body: object, detail: str) -> None:
    """The API's own words reach logs and terminals, but not as control sequences or broken text."""
    result = cinnox.read(answer(400, body))
    assert result.detail == detail
    result.detail.encode()


def test_the_detail_is_bounded(cinnox: Cinnox) -> None:
    """A dead letter keeps the reason, not 64 KiB of it."""
    spoken = cinnox.read(answer(400, {"code": 1, "message": "x" * 60_000})).detail
    assert len(spoken) == MAX_DETAIL_CHARS
    unread = cinnox.read(answer(400, b"x" * 60_000)).detail
    assert len(unread) < 200
