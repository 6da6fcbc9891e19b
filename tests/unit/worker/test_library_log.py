"""What Celery and Flower log of a broker that is away."""

import logging
import time
from collections.abc import Iterator

import pytest

from pushlane_worker.library_log import OncePerOutage, calm_worker

QUIET_S = 60.0
AWAY = ConnectionError("it is away")
OTHER = ConnectionError("it is wrong")
_CONSUMER, _CONNECTED = "celery.worker.consumer.consumer", "celery.worker.consumer.connection"


class Silent(Exception):
    """Shows nothing of its text, as redis-py's errors."""

    def __repr__(self) -> str:
        return "network"


def _record(*arguments: object, words: object = "Failed: %s, %s") -> logging.LogRecord:
    return logging.LogRecord("flower", logging.ERROR, __file__, 1, words, arguments, None)


@pytest.fixture
def calm() -> Iterator[None]:
    """A worker's loggers, with what it does to them."""
    loggers = [logging.getLogger(name) for name in (_CONSUMER, _CONNECTED, "py.warnings", "kombu.connection")]
    before = [list(logger.filters) for logger in loggers]
    calm_worker()
    yield
    for logger, filters in zip(loggers, before, strict=True):
        logger.filters[:] = filters


def test_an_error_is_quoted_once_while_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever line quotes it, until it has not been met for a while."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    once = OncePerOutage(QUIET_S)
    assert once.filter(_record("inspect", AWAY))
    assert not once.filter(_record(AWAY, 2))
    assert once.filter(_record(OTHER, 2))
    now += QUIET_S - 1
    assert not once.filter(_record(words=AWAY))
    now += QUIET_S - 1
    assert not once.filter(_record("inspect", AWAY))
    now += QUIET_S
    assert once.filter(_record("inspect", AWAY))


def test_lines_that_quote_no_error_are_kept() -> None:
    """Also those that repeat."""
    once = OncePerOutage(QUIET_S)
    assert all(once.filter(_record("a", "b")) for _ in range(2))


@pytest.mark.usefixtures("calm")
def test_a_worker_says_in_one_line_what_is_wrong(caplog: pytest.LogCaptureFixture) -> None:
    """With the text of the error, where Celery takes three, or leaves it out."""
    consumer = logging.getLogger(_CONSUMER)
    for _ in range(2):
        consumer.error("\nCannot connect to %s: %s.\n%s\n", "redis", AWAY, "Trying again 100% soon")
        consumer.warning("Lost (%r)", Silent("it said no"))
        consumer.critical("Restarts: %r", OTHER, exc_info=OTHER)
    assert caplog.messages == [
        "Cannot connect to redis: it is away. Trying again 100% soon",
        "Lost ('it said no')",
        "Restarts: 'it is wrong'",
    ]
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.usefixtures("calm")
def test_a_worker_that_connects_again_and_again_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    """And nothing of a setting at each of them."""
    caplog.set_level(logging.INFO)
    for _ in range(3):
        logging.getLogger(_CONNECTED).info("Connected to %s", "redis")
        logging.getLogger("py.warnings").warning("worker_cancel_long_running_tasks_on_connection_loss is off")
    assert caplog.messages == ["Connected to redis"]
