"""The worker's settings, checked when it starts. Importing the Celery app, as Flower does, reads only the addresses."""

from pathlib import Path
from typing import Final

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import SettingsConfigDict

from pushlane.address import Address, parse
from pushlane.errors import InvalidMessage, SettingsError
from pushlane.message import check_channel_name
from pushlane.service.configuration import MAX_KEPT_S, PREFIX, CommonSettings, FromEnvironment, RedisUrl, load, variable
from pushlane_worker.channel_settings import ChannelSettings

LEASE_MARGIN_S: Final = 1.0
"""How much longer than a push a lease must last, to write the request and to settle."""
MAX_LEASE_S: Final = 300.0
"""``lua/sweep.lua`` treats longer leases as the result of a clock that stepped back."""


class _Broker:
    """Celery's broker, which is the queue's Redis unless it has its own address."""

    redis_url: str
    broker_url: str | None

    @property
    def broker(self) -> str:
        """Its address."""
        return self.broker_url or self.redis_url

    @property
    def broker_setting(self) -> str:
        """The setting that the address comes from."""
        return variable(["broker_url" if self.broker_url else "redis_url"])

    def broker_address(self) -> Address:
        """Its address, parsed. Raises SettingsError for one that Celery cannot use."""
        try:
            address = parse(self.broker)
        except ValueError as error:
            raise SettingsError(self.broker_setting, str(error)) from None
        if address.kind == "cluster":
            needs = "Celery supports no Redis Cluster: it needs the address of a single server or of sentinels"
            raise SettingsError(variable(["broker_url"]), needs if self.broker_url else f"is missing: {needs}")
        return address


class Settings(_Broker, CommonSettings):
    """All settings of a worker."""

    broker_url: RedisUrl | None = Field(
        None, description="Address of Celery's broker; by default the same Redis. Required beside a Redis Cluster."
    )
    broker_password_file: Path | None = Field(None, description="The same for `BROKER_URL`.")
    max_in_flight: int = Field(64, ge=1, le=4096, description="Pushes in flight per pool process, over all channels.")
    push_deadline_s: float = Field(10, gt=0, le=120, description="Seconds a push may take in all.")
    lease_s: float = Field(
        30, gt=0, le=MAX_LEASE_S, description="Seconds a claim holds its conversation; at least `PUSH_DEADLINE_S` + 1."
    )
    slice_s: float = Field(2, ge=0.1, le=60, description="Seconds a drain claims messages before its task ends.")
    idempotency_window_s: float = Field(
        86_400, ge=1, le=MAX_KEPT_S, description="Seconds an idempotency key is remembered."
    )
    heartbeat_file: Path | None = Field(
        None, description="A file that a working worker touches every second, for health checks."
    )
    channels: dict[str, ChannelSettings] = Field(
        default_factory=dict, description="The channels by name: `PUSHLANE_CHANNELS__<NAME>__…`."
    )

    @field_validator("channels")
    @classmethod
    def _names(cls, channels: dict[str, ChannelSettings]) -> dict[str, ChannelSettings]:
        for name in channels:
            try:
                check_channel_name(name)
            except InvalidMessage as error:
                message = "{name}: a channel's name {problem}"
                raise PydanticCustomError("name", message, {"name": name, "problem": error.problem}) from None
        return channels

    @model_validator(mode="after")
    def _lease_outlasts_push(self) -> "Settings":
        if self.lease_s < self.push_deadline_s + LEASE_MARGIN_S:
            message = "must be at least PUSH_DEADLINE_S + {margin}, or a push could outlive its lease"
            raise PydanticCustomError("lease", message, {"margin": LEASE_MARGIN_S, "setting": ["lease_s"]})
        return self


class Addresses(_Broker, FromEnvironment):
    """The two addresses that importing the Celery app needs. Nothing in them is checked here."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", env_ignore_empty=True)

    redis_url: str = "redis://localhost:6379/0"
    redis_password_file: Path | None = None
    broker_url: str | None = None
    broker_password_file: Path | None = None


def load_addresses() -> Addresses:
    """The two addresses, for code that needs no channel.

    Raises:
        SettingsError: A variable is unknown, or the file is missing or not TOML.
    """
    return load(Addresses)


def load_settings() -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: One is missing, wrong or unknown. Its message names it and says what is allowed.
    """
    settings = load(Settings)
    settings.broker_address()
    settings.read_metrics_tokens()
    for name, channel in settings.channels.items():
        try:
            channel.read_token()
        except SettingsError as error:
            raise SettingsError(variable(["channels", name, error.name]), error.problem) from None
    return settings


def load_worker_settings(pool: str) -> Settings:
    """``load_settings`` for a worker with this pool of Celery's. Raises SettingsError also if it cannot work."""
    settings = load_settings()
    if not settings.channels:
        raise SettingsError("PUSHLANE_CHANNELS__<NAME>__KIND", "no channel is set, so there is nothing to push")
    if "gevent" in pool or "eventlet" in pool:
        raise SettingsError("--pool", "gevent and eventlet do not work here; use prefork, threads or solo")
    return settings
