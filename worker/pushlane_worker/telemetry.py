"""What the worker tells of itself in its logs."""

from pushlane import logs
from pushlane.logs import Logger, logger
from pushlane_worker.settings import Settings

__all__ = ["Logger", "configure", "logger"]


def configure(settings: Settings) -> None:
    """Sends the logs of this process to standard error, in the form and from the level that the settings say."""
    logs.configure(settings.log_format, settings.log_level)
