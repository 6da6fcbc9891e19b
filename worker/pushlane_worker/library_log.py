"""What Celery and Flower log about a broker that is away: one line each, and Flower's not again and again."""

import logging
import time
from typing import Final

from pushlane.service.printable import one_line

OUTAGE_S: Final = 60.0
"""Flower tries every few seconds: what it has not said for this long belongs to another outage."""
_FLOWER: Final = ("flower.events", "flower.inspector", "flower.views.broker", "flower.views.workers")


def keep_to_one_line() -> None:
    """Celery's worker spreads "Cannot connect" over three lines."""
    logging.getLogger("celery.worker.consumer.consumer").addFilter(_joined)


def calm_flower() -> None:
    """Lets Flower name a problem once per outage; it has four loops that do. Does nothing in other processes."""
    once = OncePerOutage()
    for name in _FLOWER:
        logging.getLogger(name).addFilter(once)


def _joined(record: logging.LogRecord) -> bool:
    record.msg, record.args = one_line(record.getMessage()), ()
    return True


class OncePerOutage(logging.Filter):
    """Drops lines that quote an error which was quoted less than ``OUTAGE_S`` ago."""

    def __init__(self) -> None:
        super().__init__()
        self._quoted: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is worth printing."""
        parts = (record.msg, *record.args) if isinstance(record.args, tuple) else (record.msg,)
        problem = next((str(part) for part in parts if isinstance(part, Exception)), None)
        if problem is None:
            return True
        now = time.monotonic()
        current = {known: at for known, at in self._quoted.items() if now - at < OUTAGE_S}
        self._quoted = {**current, problem: now}
        return problem not in current
