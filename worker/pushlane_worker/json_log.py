"""What Celery logs and prints, as JSON like our own lines, with ``LOG_FORMAT=json``."""

import contextlib
import json
import logging
import os
import warnings
from datetime import UTC, datetime
from typing import Any

from celery.apps import worker

from pushlane.service.printable import one_line


class JsonFormatter(logging.Formatter):
    """Formats what is logged through ``logging``."""

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


def log_what_is_printed(instance: Any) -> None:  # noqa: ANN401 # celery has no types
    """Leaves out the banner of this Celery worker; what else it prints becomes JSON, and so do early warnings."""
    instance.quiet = True
    worker.safe_say = _say
    warnings.showwarning = _warn  # until Celery has set up its log, which takes them


def _say(message: str, _file: object = None, level: str = "INFO") -> None:
    """Celery calls it in signal handlers, so it takes no lock, which logging and our own log do."""
    facts = {"name": worker.__name__, "levelname": level, "msg": message}
    line = JsonFormatter().format(logging.makeLogRecord(facts))
    with contextlib.suppress(OSError):
        os.write(2, f"{line}\n".encode())  # to standard error


def _warn(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    _say(one_line(f"{category.__name__}: {message}"), level="WARNING")
