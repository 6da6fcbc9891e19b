"""The worker's logging."""

from pushlane.service import logs
from pushlane.service.log_writer import LogWriter
from pushlane.service.logs import logger
from pushlane_worker.settings import Settings

__all__ = ["configure", "logger"]


def configure(settings: Settings) -> LogWriter:
    """Sends this process's logs to standard error, in the format and from the level in the settings.

    Returns the writer; a process that skips Python's normal shutdown, as pool children do, must close it.
    """
    writer = logs.make_writer(settings.log_format)
    logs.configure(settings.log_format, settings.log_level, writer)
    return writer
