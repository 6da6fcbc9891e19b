"""Puts what libraries log through ``logging``, above all uvicorn, into our own log, in our own format."""

from __future__ import annotations

import logging

from pushlane.callback.failures import log_failure
from pushlane.service.logs import logger


def take_over() -> None:
    """From now on, the warnings and errors of all libraries go to this process's log."""
    logging.getLogger().handlers = [_Lines(logging.WARNING)]


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            message, _, more = record.getMessage().partition("\n")
            error = record.exc_info[1] if record.exc_info else None
            if error is not None:  # further lines may quote the error, as those of asyncio's tasks do
                log_failure("library.failed", error, logger=record.name, message=message)
            else:
                facts = {"exception": more} if more.strip() else {}
                logger().log(record.levelno, "library.line", logger=record.name, message=message, **facts)
        except Exception:  # noqa: BLE001 # like every logging handler: a line that fails must not stop the caller
            self.handleError(record)
