"""The worker's settings: environment ``PUSHLANE_*`` and a TOML file, checked when a worker starts.

``__`` nests, as in ``PUSHLANE_CHANNELS__SUPPORT__TOKEN``. The environment wins over the file that ``PUSHLANE_CONFIG``
names (``pushlane.toml`` by default). Importing the Celery app, as Flower does, reads the addresses alone.
"""

import difflib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from pushlane.errors import InvalidMessage
from pushlane.message import check_channel_name
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

_TOKEN = re.compile(r"[\x21-\x7e]+")
_RATE = re.compile(r"([1-9]\d{0,6})/([1-9]\d{0,4})s")


class RateLimit(NamedTuple):
    """At most so many pushes in any window of so many seconds."""

    pushes: int
    window_s: int

    def __str__(self) -> str:
        return f"{self.pushes}/{self.window_s}s"


def _parse_rate(value: object) -> RateLimit | None:
    if value is None or isinstance(value, RateLimit):
        return value
    if value == "none":
        return None
    if isinstance(value, str) and (match := _RATE.fullmatch(value)):
        return RateLimit(int(match[1]), int(match[2]))
    raise PydanticCustomError("rate_limit", "must be like 500/60s, or none")


def _parse_codes(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return [code.strip() for code in value.split(",") if code.strip()]
    try:
        return json.loads(value)
    except ValueError:
        raise PydanticCustomError("codes", "must be numbers like 100,101 or [100, 101]") from None


_Rate = Annotated[RateLimit | None, NoDecode, BeforeValidator(_parse_rate)]
_Codes = Annotated[frozenset[int], NoDecode, BeforeValidator(_parse_codes)]
_Http = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]
_Url = Annotated[str, StringConstraints(pattern=r"^(rediss?|unix)://\S+$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ChannelSettings(_Frozen):
    """One channel: an account at a remote API, and how patient we are with it."""

    kind: Literal["cinnox"] = Field(description="The remote API: `cinnox`.")
    base_url: _Http = Field(description="The API's base address, such as `https://api.example.com`.")
    app_id: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(description="The CINNOX app ID.")
    token: SecretStr | None = Field(None, description="The app token. Exactly one of `TOKEN` and `TOKEN_FILE` is set.")
    token_file: Path | None = Field(None, description="A file that holds the token; read again before each probe.")
    queue: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = Field(
        "pushlane", description="The Celery queue that its drains go to."
    )
    rate_limit: _Rate = Field(
        RateLimit(500, 60), description="`PUSHES/SECONDSs`: pushes in any such window, fleet-wide; or `none`."
    )
    max_queued: int = Field(1_000_000, ge=1, description="Messages that may wait in it; more are refused.")
    max_attempts: int = Field(40, ge=1, le=9999, description="Failed pushes of a message before it is a dead letter.")
    max_age_s: float = Field(86_400, gt=0, description="Seconds in its conversation before a failure is final.")
    backoff_base_s: float = Field(1, gt=0, description="First wait after a failure; doubles, with full jitter.")
    backoff_cap_s: float = Field(300, gt=0, le=86_400, description="Longest wait after a failure.")
    breaker_after: int = Field(10, ge=1, description="Failures in a row, over all conversations, that break the gate.")
    breaker_cap_s: float = Field(60, ge=1, le=86_400, description="Longest wait between two probes of a broken API.")
    retry_after_cap_s: float = Field(3600, ge=1, le=86_400, description="Longest Retry-After that is obeyed.")
    on_unknown: Literal["retry", "dead_letter"] = Field(
        "retry", description="After a push of unknown outcome: `retry` may duplicate, `dead_letter` may lose."
    )
    retry_codes: _Codes = Field(frozenset(), description="More API codes that mean: failed, try again.")
    reject_codes: _Codes = Field(frozenset(), description="More API codes that mean: a message is refused.")
    text_unit: Literal["codepoints", "utf16", "bytes"] = Field(
        "codepoints", description="What a character of the 5,000 is: `codepoints`, `utf16` or `bytes`."
    )
    max_message_bytes: int = Field(65_536, ge=1, le=999_999, description="A message's size as it is stored.")

    @model_validator(mode="after")
    def _one_token(self) -> "ChannelSettings":
        if (self.token is None) == (self.token_file is None):
            raise PydanticCustomError("token", "set exactly one of TOKEN and TOKEN_FILE")
        if self.token is not None and not _TOKEN.fullmatch(self.token.get_secret_value()):
            raise PydanticCustomError("token", "TOKEN must be printable ASCII without spaces")
        return self

    def read_token(self) -> str:
        """The token, from its file if it is in one.

        Raises:
            SettingsError: The file can not be read, or holds no token.
        """
        if self.token is not None:
            return self.token.get_secret_value()
        try:
            token = Path(str(self.token_file)).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise SettingsError("TOKEN_FILE", f"can not be read: {error}") from None
        if not _TOKEN.fullmatch(token):
            raise SettingsError("TOKEN_FILE", "must hold one token of printable ASCII without spaces")
        return token


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


def load_settings() -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: One is missing, wrong or unknown. Its message names it and says what is allowed.
    """
    if CONFIG_VARIABLE in os.environ and not _config_file().is_file():
        raise SettingsError(CONFIG_VARIABLE, f"no file {str(_config_file())!r}")
    check_variables()
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
