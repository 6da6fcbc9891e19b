"""Where the queue is, for the commands that need an address and no channel's settings."""

import redis

from pushlane.message import check_channel_name
from pushlane_worker.cli.ending import REDIS, Refused
from pushlane_worker.errors import SettingsError
from pushlane_worker.inspection import Inspector
from pushlane_worker.settings import DEFAULT_CONFIG, Addresses, Settings, check_variables, load_settings


def addresses() -> Addresses:
    """The two addresses. Raises SettingsError for a variable that nobody reads, and for a file that is no TOML."""
    check_variables()
    try:
        return Addresses()
    except ValueError as error:
        raise SettingsError(DEFAULT_CONFIG, f"can not be read: {error}") from None


def redis_url() -> str:
    """The address of the queue, which somebody has to give: a guess could be another one's Redis."""
    given = addresses()
    if "redis_url" not in given.model_fields_set:
        raise SettingsError(REDIS, f"is missing: {Settings.model_fields['redis_url'].description}")
    try:
        redis.ConnectionPool.from_url(given.redis_url)
    except ValueError:
        raise SettingsError(REDIS, "must be an address like redis://localhost:6379/0") from None
    return given.redis_url


def inspector() -> Inspector:
    """An inspector of the queue."""
    return Inspector(redis_url())


def channels(named: tuple[str, ...]) -> tuple[str, ...]:
    """The channels that were named, else those of the settings. Raises Refused when there are none."""
    if named:
        return tuple(check_channel_name(name) for name in named)
    configured = tuple(load_settings().channels)
    if not configured:
        raise Refused("no channel is set here (PUSHLANE_CHANNELS__<NAME>__KIND): name the ones that you mean")
    return configured
