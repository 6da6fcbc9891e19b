"""What Celery and Flower log of a broker that is away."""

import logging
import time

import pytest

from pushlane_worker import library_log
from pushlane_worker.library_log import OUTAGE_S, OncePerOutage, keep_to_one_line

AWAY = ConnectionError("it is away")
OTHER = ConnectionError("it is wrong")


def _record(*arguments: object, words: object = "Failed: %s, %s") -> logging.LogRecord:
    return logging.LogRecord("flower", logging.ERROR, __file__, 1, words, arguments, None)


def test_an_error_is_quoted_once_while_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever line quotes it, until it has not been met for a minute."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    once = OncePerOutage()
    assert once.filter(_record("inspect", AWAY))
    assert not once.filter(_record(AWAY, 2))
    assert once.filter(_record(OTHER, 2))
    now += OUTAGE_S - 1
    assert not once.filter(_record(words=AWAY))
    now += OUTAGE_S - 1
    assert not once.filter(_record("inspect", AWAY))
    now += OUTAGE_S
    assert once.filter(_record("inspect", AWAY))


def test_lines_that_quote_no_error_are_kept() -> None:
    """Also those that repeat."""
    once = OncePerOutage()
    assert all(once.filter(_record("a", "b")) for _ in range(2))


def test_what_celery_spreads_over_lines_is_one(caplog: pytest.LogCaptureFixture) -> None:
    """With what it quotes."""
    celery = logging.getLogger("celery.worker.consumer.consumer")
    keep_to_one_line()
    try:
        celery.error("\nCannot connect to %s.\nTrying again %s\n", "redis", "100% soon")
    finally:
        celery.removeFilter(library_log._joined)
    assert caplog.messages == ["Cannot connect to redis. Trying again 100% soon"]
