"""What the worker tells of itself in its logs."""

from pushlane import logs
from pushlane.log_writer import LogWriter
from pushlane.logs import Logger, logger
from pushlane_worker.settings import Settings

__all__ = ["Logger", "configure", "logger"]


def configure(settings: Settings) -> LogWriter:
    """Sends the logs of this process to standard error, in the form and from the level that the settings say.

    What it returns writes them; a process that ends without Python's own end, as pool children do, must close it.
    """
    writer = logs.make_writer(settings.log_format)
    logs.configure(settings.log_format, settings.log_level, writer)
    return writer
