"""The worker's settings: environment ``PUSHLANE_*`` and a TOML file, checked when a worker starts.

``__`` nests, as in ``PUSHLANE_CHANNELS__SUPPORT__TOKEN``. The environment wins over the file that ``PUSHLANE_CONFIG``
names (``pushlane.toml`` by default). Importing the Celery app, as Flower does, reads the addresses alone.
"""

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings import SettingsError as SourceError

from pushlane.errors import InvalidMessage
from pushlane.message import check_channel_name
from pushlane_worker.channel_settings import ChannelSettings
from pushlane_worker.errors import SettingsError

PREFIX: Final = "PUSHLANE_"
CONFIG_VARIABLE: Final = "PUSHLANE_CONFIG"
DEFAULT_CONFIG: Final = "pushlane.toml"
OTHER_SECTIONS: Final = frozenset({"MODERATION", "WEBHOOK", "API_KEYS"})
"""Sections of the callback endpoint's settings, which may stand in the same environment and file."""
LEASE_MARGIN_S: Final = 1.0
"""What a lease must have beyond a push, to write the request and to settle."""
MAX_LEASE_S: Final = 300.0
"""``lua/sweep.lua`` takes longer leases for a clock that stepped back."""
MAX_KEPT_S: Final = 315_360_000.0
"""Ten years. Without a bound a slip of the pen, such as ``inf``, would fail in Redis and not at the start."""

_Url = Annotated[str, StringConstraints(pattern=r"^(rediss?|unix)://\S+$")]


class _File(TomlConfigSettingsSource):
    def __call__(self) -> dict[str, Any]:
        """The file without the callback's sections."""
        return {name: value for name, value in super().__call__().items() if name.upper() not in OTHER_SECTIONS}


class _FromEnvironment(BaseSettings):
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 # pydantic-settings names the arguments
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 # the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then the file; nothing else."""
        return init_settings, env_settings, _File(settings_cls, _config_file())


class Settings(_FromEnvironment):
    """Everything a worker is told."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_ignore_empty=True,
    )

    redis_url: _Url = Field(description="Where the queue is: `redis://`, `rediss://` or `unix://`.")
    broker_url: _Url | None = Field(None, description="Where Celery's own queues are; by default the same Redis.")
    max_in_flight: int = Field(64, ge=1, le=4096, description="Pushes in flight a pool process, over all channels.")
    push_deadline_s: float = Field(10, gt=0, le=120, description="Seconds that a push may take in all.")
    lease_s: float = Field(30, gt=0, le=MAX_LEASE_S, description="Seconds that a claim holds its conversation.")
    slice_s: float = Field(2, ge=0.1, le=60, description="Seconds that a drain claims before its task ends.")
    retention_s: float = Field(
        86_400, ge=1, le=MAX_KEPT_S, description="Seconds that a delivered message's status is kept."
    )
    idempotency_window_s: float = Field(
        86_400, ge=1, le=MAX_KEPT_S, description="Seconds that an idempotency key is remembered."
    )
    log_format: Literal["text", "json"] = Field("text", description="`text` or `json`.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
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
            message = "LEASE_S must be at least PUSH_DEADLINE_S + {margin} s, else every push would outlive its lease"
            raise PydanticCustomError("lease", message, {"margin": LEASE_MARGIN_S})
        return self

    @property
    def broker(self) -> str:
        """Celery's broker."""
        return self.broker_url or self.redis_url


class Addresses(_FromEnvironment):
    """The two addresses that importing the Celery app needs. Nothing in them is checked here."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", env_ignore_empty=True)

    redis_url: str = "redis://localhost:6379/0"
    broker_url: str | None = None

    @property
    def broker(self) -> str:
        """Celery's broker."""
        return self.broker_url or self.redis_url


def _config_file() -> Path:
    return Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG))


def load_addresses() -> Addresses:
    """The two addresses, for what needs no channel.

    Raises:
        SettingsError: A variable that nobody reads, or a file that is not there or no TOML.
    """
    _check_sources()
    try:
        return Addresses()
    except ValueError as error:
        raise SettingsError(str(_config_file()), f"is no TOML: {error}") from None


def load_settings() -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: One is missing, wrong or unknown. Its message names it and says what is allowed.
    """
    _check_sources()
    try:
        settings = Settings()
    except ValidationError as error:
        raise _explain(error.errors(include_input=False, include_url=False)[0]) from None
    except SourceError:  # the one variable that is read as JSON by itself
        raise SettingsError(f"{PREFIX}CHANNELS", "must be a JSON object; or set PUSHLANE_CHANNELS__<NAME>__…") from None
    except ValueError as error:
        raise SettingsError(str(_config_file()), f"is no TOML: {error}") from None
    for name, channel in settings.channels.items():
        try:
            channel.read_token()
        except SettingsError as error:
            raise SettingsError(_variable(["channels", name, error.name]), error.problem) from None
    return settings


def _check_sources() -> None:
    if CONFIG_VARIABLE in os.environ and not _config_file().is_file():
        raise SettingsError(CONFIG_VARIABLE, f"no file {str(_config_file())!r}")
    check_variables()


def check_variables(environment: Mapping[str, str] | None = None) -> None:
    """Raises SettingsError for a ``PUSHLANE_`` variable that nobody reads, and names the nearest known one."""
    known = {name.upper() for name in Settings.model_fields} | OTHER_SECTIONS | {CONFIG_VARIABLE.removeprefix(PREFIX)}
    for variable in environment if environment is not None else os.environ:
        first = variable.removeprefix(PREFIX).partition("__")[0]
        if variable.startswith(PREFIX) and first.upper() not in known:
            raise SettingsError(variable, f"is no setting of Pushlane{_nearest(first.upper(), known, PREFIX)}")


def _nearest(name: str, known: Iterable[str], prefix: str) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {prefix}{close[0]}?" if close else ""


def _variable(path: Iterable[object]) -> str:
    return PREFIX + "__".join(str(part).upper() for part in path)


def _fields(path: Sequence[object]) -> dict[str, FieldInfo]:
    return ChannelSettings.model_fields if len(path) > 1 else Settings.model_fields


def _explain(error: ErrorDetails) -> SettingsError:
    path: list[Any] = [part for part in error["loc"] if not isinstance(part, int)]
    problem = error["msg"]
    if error["type"] == "extra_forbidden":
        known = [name.upper() for name in _fields(path)]
        problem = f"is no setting of Pushlane{_nearest(str(path[-1]).upper(), known, _variable([*path[:-1], '']))}"
    elif error["type"] == "missing":
        problem = f"is missing: {_fields(path)[path[-1]].description}"
    elif error["type"] == "string_pattern_mismatch" and path[-1] in {"redis_url", "broker_url"}:
        problem = "must be an address like redis://localhost:6379/0"
    if not path:
        path = ["lease_s"]
    return SettingsError(_variable(path), problem)
