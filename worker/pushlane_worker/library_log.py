"""What Celery and Flower log about a broker that is away: in one line, with what is wrong, and not at each new try."""

import logging
import time
from typing import Final

from pushlane.service.printable import one_line

WORKER_S: Final = 10.0
"""A worker tries every second: what it has not said for this long belongs to another outage."""
FLOWER_S: Final = 60.0
"""The same for Flower, which tries every few seconds."""
_FLOWER: Final = ("flower.events", "flower.inspector", "flower.views.broker", "flower.views.workers")
_NO_NEWS: Final = (
    "worker_cancel_long_running_tasks_on_connection_loss",  # eight lines after each outage; we have chosen it
    "defaulting to insecure SSL behaviour",  # of an object that never connects, with which Celery masks an address
)
_CONSUMER: Final = "celery.worker.consumer.consumer"
_CONNECTED: Final = "celery.worker.consumer.connection"


def calm_worker() -> None:
    """For a worker: a broker that refuses its commands would have it connect, fail and say so many times a second."""
    once = OncePerOutage(WORKER_S)
    for name in (_CONSUMER, _CONNECTED):
        logging.getLogger(name).addFilter(once)
    logging.getLogger(_CONSUMER).addFilter(_joined)
    for name in ("py.warnings", "kombu.connection"):
        logging.getLogger(name).addFilter(_is_news)


def calm_flower() -> None:
    """For Flower, which has four loops that try; does nothing in other processes."""
    once = OncePerOutage(FLOWER_S)
    for name in _FLOWER:
        logging.getLogger(name).addFilter(once)


class OncePerOutage(logging.Filter):
    """Drops lines about an error, and about connecting again, that repeat one from less than ``quiet_s`` ago."""

    def __init__(self, quiet_s: float) -> None:
        super().__init__()
        self._quiet_s = quiet_s
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is worth printing."""
        error = _error(record)
        if error is None and record.name != _CONNECTED:
            return True
        what, now = str(error or record.getMessage()), time.monotonic()
        current = {known: at for known, at in self._said.items() if now - at < self._quiet_s}
        self._said = {**current, what: now}
        return what not in current


def _error(record: logging.LogRecord) -> Exception | None:
    parts = (record.msg, *record.args) if isinstance(record.args, tuple) else (record.msg,)
    return next((part for part in parts if isinstance(part, Exception)), None)


def _joined(record: logging.LogRecord) -> bool:
    """Puts a line about an error into one, with the error's text: redis-py's errors hide it from ``%r``."""
    if _error(record) is not None and isinstance(record.args, tuple):
        record.args = tuple(str(arg) if isinstance(arg, Exception) else arg for arg in record.args)
        record.msg, record.args, record.exc_info = one_line(record.getMessage()), (), None
    return True


def _is_news(record: logging.LogRecord) -> bool:
    return not any(known in record.getMessage() for known in _NO_NEWS)
