"""What libraries log through ``logging``, uvicorn above all, in the form of our own lines."""

from __future__ import annotations

import logging

from pushlane.callback.failures import log_failure
from pushlane.logs import logger


def take_over() -> None:
    """From now on the warnings and errors of all libraries are lines of this process's log."""
    logging.getLogger().handlers = [_Lines(logging.WARNING)]


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            _write(record)
        except Exception:  # noqa: BLE001 # as each handler of logging: a line that cannot be made ends nobody's work
            self.handleError(record)


def _write(record: logging.LogRecord) -> None:
    message, _, more = record.getMessage().partition("\n")
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:  # what is more may quote the error: asyncio's tasks do
        log_failure("library.failed", error, logger=record.name, message=message)
        return
    facts = {"exception": more} if more.strip() else {}
    logger().log(record.levelno, "library.line", logger=record.name, message=message, **facts)
