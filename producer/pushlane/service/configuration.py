"""Where settings come from: environment ``PUSHLANE_*`` and a TOML file, the same for the worker and the callback.

``__`` nests, as in ``PUSHLANE_CHANNELS__SUPPORT__TOKEN``. The environment takes precedence over the file that
``PUSHLANE_CONFIG`` names (``pushlane.toml`` by default). The worker and the callback may share an environment, so each
reads only its own part of it; a name that neither knows prevents the start. Needs ``pydantic-settings``, which the
extras install.
"""

import difflib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from pushlane import address
from pushlane.errors import SettingsError
from pushlane.password_file import with_password
from pushlane.service.credentials import MAX_SECRETS, read_secrets

PREFIX: Final = "PUSHLANE_"
CONFIG_VARIABLE: Final = "PUSHLANE_CONFIG"
DEFAULT_CONFIG: Final = "pushlane.toml"
NAMES: Final = frozenset(
    [
        "REDIS_URL",
        "REDIS_PASSWORD_FILE",
        "BROKER_URL",
        "BROKER_PASSWORD_FILE",
        "MAX_IN_FLIGHT",
        "PUSH_DEADLINE_S",
        "LEASE_S",
        "SLICE_S",
        "RETENTION_S",
        "IDEMPOTENCY_WINDOW_S",
        "HEARTBEAT_FILE",
        "METRICS_TOKEN_FILE",
        "LOG_FORMAT",
        "LOG_LEVEL",
        "CHANNELS",
        "MODERATION",
        "WEBHOOK",
        "API_KEYS",
        "DASHBOARD",
    ]
)
"""Every setting and section of the worker and of the callback; a test keeps the list complete."""

MAX_KEPT_S: Final = 315_360_000.0
"""Ten years. Without a limit, a typo such as ``inf`` would fail in Redis instead of at the start."""


def _checked(url: str) -> str:
    try:
        address.parse(url)
    except ValueError as error:
        raise PydanticCustomError("address", "{problem}", {"problem": str(error)}) from None
    return url


RedisUrl = Annotated[str, AfterValidator(_checked)]
S = TypeVar("S", bound=BaseSettings)


class FromEnvironment(BaseSettings):
    """The base of both: reads the environment first, then the file, and nothing else."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 # pydantic-settings names the arguments
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 # the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources, highest precedence first."""
        return init_settings, env_settings, _File(settings_cls, config_file())

    @model_validator(mode="before")
    @classmethod
    def _passwords(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Adds to an address the password that is in a file. Raises SettingsError."""
        for server in ("redis", "broker"):
            setting, address = f"{server}_password_file", f"{server}_url"
            if values.get(setting) is None:
                continue
            if values.get(address) is None:
                raise SettingsError(variable([setting]), f"is set, but {variable([address])} is not")
            values[address] = with_password(values[address], values[setting], server.upper())
        return values


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class CommonSettings(FromEnvironment):
    """The settings that the worker and the callback share."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_ignore_empty=True,
    )

    redis_url: RedisUrl = Field(
        description="Address of the queue's Redis: `redis://`, `rediss://`, `unix://`, `redis+cluster://` or"
        " `redis+sentinel://`."
    )
    redis_password_file: Path | None = Field(
        None, description="A file with the password for `REDIS_URL`, so that the address needs none."
    )
    retention_s: float = Field(
        86_400, ge=1, le=MAX_KEPT_S, description="Seconds the status of a delivered message, or a decision, is kept."
    )
    metrics_token_file: Path | None = Field(
        None, description="A file with the token that `/metrics` asks for, or with two, one per line; open without it."
    )
    log_format: Literal["text", "json"] = Field("text", description="`text` or `json`.")
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = Field(
        "INFO", description="Lowest level that is logged: `DEBUG`, `INFO`, `WARNING` or `ERROR`."
    )

    def read_metrics_tokens(self) -> tuple[str, ...]:
        """The tokens of ``/metrics``, two while one is being changed; none if it is open. Raises SettingsError."""
        if self.metrics_token_file is None:
            return ()
        return read_secrets(variable(["metrics_token"]), (), self.metrics_token_file, MAX_SECRETS)


class _File(TomlConfigSettingsSource):
    def __call__(self) -> dict[str, Any]:
        """Our part of the file."""
        values = super().__call__()
        if self.settings_cls.model_config.get("extra") == "forbid":
            check_names(PREFIX + name.upper() for name in values)
        return {name: value for name, value in values.items() if name.lower() in self.settings_cls.model_fields}


def config_file() -> Path:
    """The path of the file, whether it exists or not."""
    return Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG))


def load(kind: type[S]) -> S:
    """The settings of this kind.

    Raises:
        SettingsError: One is missing, wrong or unknown. Its message names it and says what is allowed.
    """
    if CONFIG_VARIABLE in os.environ and not config_file().is_file():
        raise SettingsError(CONFIG_VARIABLE, f"the file {str(config_file())!r} does not exist")
    check_names(os.environ)
    try:
        return kind()
    except ValidationError as error:
        raise _explain(kind, error.errors(include_input=False, include_url=False)[0]) from None
    except SourceError as error:  # a section that is given as JSON
        name = str(error).partition('"')[2].partition('"')[0].upper()
        raise SettingsError(PREFIX + name, f"must be a JSON object; or set {PREFIX}{name}__<NAME>__…") from None
    except ValueError as error:
        raise SettingsError(str(config_file()), f"is not valid TOML: {error}") from None
    except OSError as error:
        raise SettingsError(str(config_file()), f"cannot be read: {error.strerror}") from None


def check_names(variables: Iterable[str]) -> None:
    """Raises SettingsError for an unknown ``PUSHLANE_`` variable, and names the closest known one."""
    for name in variables:
        first = name.removeprefix(PREFIX).partition("__")[0].upper()
        if name.startswith(PREFIX) and name != CONFIG_VARIABLE and first not in NAMES:
            raise SettingsError(name, f"is not a setting of Pushlane{_nearest(first, NAMES, PREFIX)}")


def comma_separated(value: object) -> object:
    """Parses a list written as JSON or with commas; returns any other value unchanged."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return [part.strip() for part in value.split(",") if part.strip()]
    try:
        return json.loads(value)
    except ValueError:
        raise PydanticCustomError("list", "must be comma-separated, or a JSON list") from None


def matching(pattern: str, problem: str) -> AfterValidator:
    """What a text must match as a whole, and how the error says so: a pattern itself would help nobody."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise PydanticCustomError("text", "{problem}", {"problem": problem})
        return text

    return AfterValidator(check)


def variable(path: Iterable[object]) -> str:
    """The setting as an operator writes it."""
    return PREFIX + "__".join(str(part).upper() for part in path)


def _nearest(name: str, known: Iterable[str], prefix: str) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {prefix}{close[0]}?" if close else ""


def _fields(kind: type[BaseModel], path: Sequence[object]) -> Mapping[str, FieldInfo]:
    """The fields of the model that the last part of the path belongs to."""
    fields: Mapping[str, FieldInfo] = kind.model_fields
    for part in path[:-1]:
        if str(part) in fields:
            annotation = fields[str(part)].annotation
            fields = next((model.model_fields for model in _models(annotation)), fields)
    return fields


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """The models within an annotation, such as the one of a list's elements."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for one in get_args(annotation):
        yield from _models(one)


def _explain(kind: type[BaseModel], error: ErrorDetails) -> SettingsError:
    path: list[Any] = [part for part in error["loc"] if not isinstance(part, int)]
    path += error.get("ctx", {}).get("setting", [])
    problem, fields = error["msg"], _fields(kind, path)
    if error["type"] == "extra_forbidden":
        known = [name.upper() for name in fields]
        problem = f"is not a setting of Pushlane{_nearest(str(path[-1]).upper(), known, variable([*path[:-1], '']))}"
    elif error["type"] == "missing":
        problem = f"is missing: {fields[path[-1]].description}"
    return SettingsError(variable(path), problem)
