"""Structured logs: stable dotted event names with key-values, never a text and never a token."""

import contextlib
import logging
import sys
from typing import Any

import structlog

Logger = structlog.typing.FilteringBoundLogger


def configure(log_format: str, log_level: str) -> None:
    """Sends the logs of this process to standard error, in this form and from this level."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, log_level)),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )


class _Lines:
    """Writes lines to the real standard error; Celery replaces ``sys.stderr`` by a logger of its own in its workers.

    A full disk or a closed pipe costs the line, never the work that it tells of.
    """

    def __init__(self, *_: object) -> None:
        self._file = sys.__stderr__

    def msg(self, message: str) -> None:
        """Writes one line."""
        with contextlib.suppress(OSError, ValueError):
            if self._file is not None:
                self._file.write(message + "\n")
                self._file.flush()

    debug = info = warning = error = critical = exception = msg


def logger() -> Logger:
    """A logger for this process."""
    log: Logger = structlog.get_logger()
    return log
