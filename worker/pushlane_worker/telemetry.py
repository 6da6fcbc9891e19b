"""Structured logs: stable dotted event names with key-values, never a message's text and never a token."""

import logging
import sys
from typing import Any

import structlog

from pushlane_worker.settings import Settings

Logger = structlog.typing.FilteringBoundLogger


def configure(settings: Settings) -> None:
    """Sends the logs of this process to standard error, in the form and from the level that the settings say."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.log_level)),
        # Celery replaces sys.stderr by a logger of its own in its workers; the real one keeps a line a line.
        logger_factory=structlog.PrintLoggerFactory(file=sys.__stderr__),
        cache_logger_on_first_use=True,
    )


def logger() -> Logger:
    """A logger for this process."""
    log: Logger = structlog.get_logger()
    return log
