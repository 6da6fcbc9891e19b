"""The callback's settings: the queue's address, moderation, and who may call."""

import hmac
import ipaddress
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode, SettingsConfigDict

from pushlane.configuration import PREFIX, FromEnvironment, comma_separated, load, variable
from pushlane.errors import InvalidMessage, SettingsError
from pushlane.message import check_channel_name

MAX_DEADLINE_S: Final = 1.8
"""Tencent waits 2 s for an answer and then delivers; the network and the server's own work need the rest."""
MAX_SECRETS: Final = 2
"""The current one and the next one, while it is being changed."""
_TOKEN = re.compile(r"[\x21-\x7e]+")
_FIELD = re.compile(r"\{(\w*)\}")
REQUEST_FIELDS: Final = frozenset(
    {"CallbackCommand", "SdkAppid", "From_Account", "To_Account", "GroupId", "Type", "Operator_Account", "TopicId"}
)
"""What a template may name: what the platform documents of a message's ends."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _list(item: Any) -> Any:  # noqa: ANN401 # a type
    return Annotated[item, NoDecode, BeforeValidator(comma_separated)]


def _channel(name: str) -> str:
    try:
        return check_channel_name(name)
    except InvalidMessage as error:
        raise PydanticCustomError("channel", "{problem}", {"problem": error.problem}) from None


def _template(template: str) -> str:
    for name in _FIELD.findall(template):
        if name not in REQUEST_FIELDS:
            known = ", ".join(sorted(REQUEST_FIELDS))
            raise PydanticCustomError("template", "names {name}; known are {known}", {"name": name, "known": known})
    return template


_Channel = Annotated[str, AfterValidator(_channel)]
_Tokens = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(comma_separated)]
_Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(comma_separated)]
_Strings = Annotated[tuple[str, ...], NoDecode, BeforeValidator(comma_separated)]


class PolicySettings(BaseModel):
    """One policy of the chain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: str = Field(description="`blocked_words`, `length`, or the Python path `package.module:name` of a policy.")
    code: int | None = Field(None, description="The code that the sender's client gets.")
    text: str = Field("", max_length=512, description="The text that goes with it.")
    max_chars: int = Field(5000, ge=1, description="For `length`: how long a message's text may be.")


def _policy(value: object) -> object:
    return {"policy": value} if isinstance(value, str) else value


_Policies = Annotated[
    tuple[Annotated[PolicySettings, BeforeValidator(_policy)], ...], NoDecode, BeforeValidator(comma_separated)
]


class _Secret(BaseModel):
    """What may stand in the environment or in a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ModerationSettings(_Secret):
    """The moderation callback of Tencent Chat."""

    sdk_app_ids: _Strings = Field(min_length=1, description="The SDKAppIDs that are ours.")
    tokens: _Tokens = Field((), max_length=2, description="The webhook token; two while it is being changed.")
    tokens_file: Path | None = Field(None, description="A file with the token, or with two, a line each.")
    unsigned: bool = Field(default=False, description="Take requests without a signature; needs `SOURCE_NETWORKS`.")
    source_networks: _Networks = Field((), description="Take requests from these networks alone.")
    trusted_proxies: _Networks = Field((), description="Networks whose X-Forwarded-For is believed.")
    deadline_s: float = Field(1.5, ge=0.2, le=MAX_DEADLINE_S, description="Seconds until a request is answered.")
    on_error: Literal["allow", "forbid"] = Field("allow", description="The verdict when no policy gave one in time.")
    policies: _Policies = Field((), description="The chain: `blocked_words`, `length`, Python paths; or objects.")
    blocked_words_file: Path | None = Field(None, description="The words of `blocked_words`, one a line.")
    blocked_words_action: Literal["forbid", "mask"] = Field("forbid", description="`forbid`, or `mask` the words.")
    relay_channel: _Channel | None = Field(None, description="The channel that allowed messages go to.")
    relay_room: Annotated[str, AfterValidator(_template)] | None = Field(
        None, description="The room there, a template such as `{To_Account}`."
    )
    routing: str | None = Field(None, description="Python path of a function that routes instead.")
    spool_dir: Path = Field(Path("pushlane-spool"), description="Where decisions wait while Redis is away.")

    @model_validator(mode="after")
    def _belongs_together(self) -> "ModerationSettings":
        if self.tokens and self.tokens_file is not None:
            raise _wrong("tokens", "set at most one of TOKENS and TOKENS_FILE")
        if self.unsigned and not self.source_networks:
            raise _wrong("unsigned", "needs SOURCE_NETWORKS: else anybody could decide")
        if self.relay_room is not None and self.relay_channel is None:
            raise _wrong("relay_room", "needs RELAY_CHANNEL")
        if self.relay_room is not None and self.routing is not None:
            raise _wrong("routing", "set at most one of RELAY_ROOM and ROUTING")
        if any(one.policy == "blocked_words" for one in self.policies) and self.blocked_words_file is None:
            raise _wrong("blocked_words_file", "is missing: the policy blocked_words needs its words")
        return self

    def read_tokens(self) -> tuple[str, ...]:
        """The tokens, from their file if they are in one. Raises SettingsError."""
        if self.tokens_file is None:
            return _checked("TOKENS", [token.get_secret_value() for token in self.tokens])
        return _checked("TOKENS_FILE", _read("TOKENS_FILE", self.tokens_file).split("\n"))


class ApiKeySettings(_Secret):
    """A service that may call ``/v1``."""

    key: SecretStr | None = Field(None, description="Its key. Exactly one of `KEY` and `KEY_FILE` is set.")
    key_file: Path | None = Field(None, description="A file that holds its key.")
    channels: Annotated[tuple[_Channel, ...], NoDecode, BeforeValidator(comma_separated)] = Field(
        min_length=1, description="The channels that it may use."
    )

    @model_validator(mode="after")
    def _one_key(self) -> "ApiKeySettings":
        if (self.key is None) == (self.key_file is None):
            raise _wrong("key", "set exactly one of KEY and KEY_FILE")
        return self

    def read_key(self) -> str:
        """The key, from its file if it is in one. Raises SettingsError."""
        if self.key is not None:
            return _checked("KEY", [self.key.get_secret_value()])[0]
        return _checked("KEY_FILE", [_read("KEY_FILE", Path(str(self.key_file)))])[0]


class CallbackSettings(FromEnvironment):
    """Everything the callback is told."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_ignore_empty=True,
    )

    redis_url: Annotated[str, StringConstraints(pattern=r"^(rediss?|unix)://\S+$")] = Field(
        description="Where the queue is: `redis://`, `rediss://` or `unix://`."
    )
    retention_s: float = Field(86_400, ge=1, le=315_360_000.0, description="Seconds that a decision is kept.")
    log_format: Literal["text", "json"] = Field("text", description="`text` or `json`.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    moderation: ModerationSettings | None = Field(
        None, description="The moderation callback: `PUSHLANE_MODERATION__…`."
    )
    api_keys: dict[str, ApiKeySettings] = Field(
        default_factory=dict, description="Who may call `/v1`: `PUSHLANE_API_KEYS__<SERVICE>__…`."
    )


def load_callback_settings() -> CallbackSettings:
    """The settings of this process, with every secret readable.

    Raises:
        SettingsError: One is missing, wrong or unknown. Its message names it and says what is allowed.
    """
    settings = load(CallbackSettings)
    if settings.moderation is not None:
        _named(["moderation"], settings.moderation.read_tokens)
    for name, service in settings.api_keys.items():
        _named(["api_keys", name], service.read_key)
    return settings


def is_one_of(secrets: Sequence[str], given: str) -> bool:
    """Whether it is one of the secrets, in a time that tells nothing about them."""
    presented = given.encode(errors="surrogateescape")
    matches = [hmac.compare_digest(secret.encode(), presented) for secret in secrets]  # a list: no early end
    return any(matches)


def _named(path: list[str], read: Callable[[], object]) -> None:
    try:
        read()
    except SettingsError as error:
        raise SettingsError(variable([*path, error.name]), error.problem) from None


def _wrong(setting: str, problem: str) -> PydanticCustomError:
    return PydanticCustomError("together", "{problem}", {"problem": problem, "setting": [setting]})


def _read(name: str, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(name, f"can not be read: {error}") from None


def _checked(name: str, secrets: Sequence[str]) -> tuple[str, ...]:
    stripped = tuple(secret.strip() for secret in secrets if secret.strip())
    if len(stripped) > MAX_SECRETS or any(not _TOKEN.fullmatch(secret) for secret in stripped):
        raise SettingsError(name, "must hold one or two secrets of printable ASCII without spaces")
    if name.startswith("KEY") and len(stripped) != 1:
        raise SettingsError(name, "must hold one key of printable ASCII without spaces")
    return stripped
