"""The worker's logging."""

import json
import logging
from datetime import UTC, datetime

from pushlane.service import logs
from pushlane.service.log_writer import LogWriter
from pushlane.service.logs import logger
from pushlane_worker.settings import Settings

__all__ = ["JsonFormatter", "configure", "logger"]


def configure(settings: Settings) -> LogWriter:
    """Sends this process's logs to standard error, in the format and from the level in the settings.

    Returns the writer; a process that skips Python's normal shutdown, as pool children do, must close it.
    """
    writer = logs.make_writer(settings.log_format)
    logs.configure(settings.log_format, settings.log_level, writer)
    return writer


class JsonFormatter(logging.Formatter):
    """Formats Celery's lines like ours with ``LOG_FORMAT=json``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON, even with a traceback."""
        line = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)
