"""The callback's settings: the queue's address, moderation, and who may call."""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    SecretStr,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from pushlane.callback import template as templates
from pushlane.callback.policy_settings import Policies
from pushlane.errors import InvalidMessage, SettingsError
from pushlane.message import check_channel_name
from pushlane.service.configuration import CommonSettings, comma_separated, load, matching, variable
from pushlane.service.credentials import MAX_SECRETS, SecretSettings, read_secrets, wrong

MIN_DEADLINE_S: Final = 0.5
"""Recording takes up to a quarter of a second of it; the rest is for the body to arrive and the policies to answer."""
MAX_DEADLINE_S: Final = 1.8
"""Tencent waits 2 s for an answer and then delivers; the network and the server's own work need the rest."""
MIN_PASSWORD_CHARS: Final = 12
"""``page/tries.py`` leaves one guess a second, 300 million in ten years: nothing against 12 random characters."""
_PLACE = re.compile(r"userId|message(\.\w+)+")
_T = TypeVar("_T")
REQUEST_FIELDS: Final = frozenset(
    {"CallbackCommand", "SdkAppid", "From_Account", "To_Account", "GroupId", "Type", "Operator_Account", "TopicId"}
)
"""What a template may name: the fields that the platform documents for a message's sender and receiver."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _channel(name: str) -> str:
    try:
        return check_channel_name(name)
    except InvalidMessage as error:
        raise PydanticCustomError("channel", "{problem}", {"problem": error.problem}) from None


def _room_template(template: str) -> str:
    return _template(template, REQUEST_FIELDS.__contains__, ", ".join(sorted(REQUEST_FIELDS)))


def _to_template(template: str) -> str:
    # A message's fields are not documented, so any of them may be meant.
    return _template(template, lambda name: bool(_PLACE.fullmatch(name)), "userId and message.<field>")


def _template(template: str, is_known: Callable[[str], bool], known: str) -> str:
    for name in templates.names_in(template):
        if not is_known(name):
            raise PydanticCustomError(
                "template", "names {name}; the fields are {known}", {"name": name, "known": known}
            )
    if not templates.is_whole(template):
        raise PydanticCustomError("template", "must use braces only around the names of fields")
    return template


def _network(network: object) -> Network:
    try:
        return ipaddress.ip_network(str(network))
    except ValueError:
        raise PydanticCustomError("network", "must be networks or addresses like 192.0.2.0/24 or 2001:db8::1") from None


def _sdk_app_id(value: object) -> object:
    return str(value) if type(value) is int else value


_Channel = Annotated[str, AfterValidator(_channel)]
_Tokens = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(comma_separated)]
_Networks = Annotated[
    tuple[Annotated[Network, PlainValidator(_network)], ...], NoDecode, BeforeValidator(comma_separated)
]
_SdkAppIds = Annotated[
    tuple[Annotated[str, matching("[0-9]+", "must be numbers like 1400000001"), BeforeValidator(_sdk_app_id)], ...],
    NoDecode,
    BeforeValidator(comma_separated),
]


class ModerationSettings(SecretSettings):
    """The moderation callback of Tencent Chat."""

    sdk_app_ids: _SdkAppIds = Field(min_length=1, description="Your SDKAppIDs.")
    tokens: _Tokens = Field(
        (),
        max_length=MAX_SECRETS,
        description=(
            "The webhook token, or two while you change it. Without one the callback takes unsigned requests, and "
            "starts on loopback only."
        ),
    )
    tokens_file: Path | None = Field(None, description="A file with the token, or with two, one per line.")
    unsigned: bool = Field(default=False, description="Accept requests without a signature; needs `SOURCE_NETWORKS`.")
    source_networks: _Networks = Field((), description="Accept requests from these networks only.")
    trusted_proxies: _Networks = Field(
        (), description="Networks whose X-Forwarded-For is trusted; they may hold more connections."
    )
    deadline_s: float = Field(
        1.5, ge=MIN_DEADLINE_S, le=MAX_DEADLINE_S, description="Seconds until a request is answered."
    )
    on_error: Literal["allow", "forbid"] = Field(
        "allow", description="The verdict when no policy gave one in time: `allow` or `forbid`."
    )
    policies: Policies = Field((), description="The chain: `blocked_words`, `length` and Python paths, or objects.")
    blocked_words_file: Path | None = Field(None, description="The words for `blocked_words`, one per line.")
    blocked_words_action: Literal["forbid", "mask"] = Field("forbid", description="`forbid`, or `mask` the words.")
    relay_channel: _Channel | None = Field(None, description="The channel that allowed messages go to.")
    relay_room: Annotated[str, AfterValidator(_room_template)] | None = Field(
        None, description="The room in that channel, a template such as `{To_Account}`."
    )
    routing: str | None = Field(None, description="Python path of a function that routes messages instead.")
    spool_dir: Path = Field(Path("pushlane-spool"), description="Where decisions wait while Redis is away.")

    @model_validator(mode="after")
    def _belongs_together(self) -> "ModerationSettings":
        if self.tokens and self.tokens_file is not None:
            raise wrong("tokens", "set at most one of TOKENS and TOKENS_FILE")
        if self.unsigned and (self.tokens or self.tokens_file is not None):
            raise wrong("unsigned", "cannot be combined with TOKENS or TOKENS_FILE: with a token, requests are signed")
        if self.unsigned and not self.source_networks:
            raise wrong("unsigned", "needs SOURCE_NETWORKS: otherwise anybody could send requests")
        if self.relay_room is not None and self.relay_channel is None:
            raise wrong("relay_room", "needs RELAY_CHANNEL")
        if self.relay_room is not None and self.routing is not None:
            raise wrong("routing", "set at most one of RELAY_ROOM and ROUTING")
        names = {one.policy for one in self.policies}
        if "blocked_words" in names and self.blocked_words_file is None:
            raise wrong("blocked_words_file", "is missing: the policy blocked_words needs its words")
        if names and "blocked_words" not in names and self.blocked_words_file is not None:
            raise wrong("blocked_words_file", "is set, but POLICIES does not name blocked_words")
        return self

    def read_tokens(self) -> tuple[str, ...]:
        """The tokens, from their file if they are in one. Raises SettingsError."""
        if self.tokens_file is None and "tokens" not in self.model_fields_set:
            return ()
        return read_secrets("TOKENS", self.tokens, self.tokens_file, MAX_SECRETS)


class ApiKeySettings(SecretSettings):
    """A service that may call ``/v1``."""

    key: SecretStr | None = Field(None, description="Its key. Exactly one of `KEY` and `KEY_FILE` is set.")
    key_file: Path | None = Field(None, description="A file that holds its key.")
    channels: Annotated[tuple[_Channel, ...], NoDecode, BeforeValidator(comma_separated)] = Field(
        min_length=1, description="The channels that it may use."
    )

    @model_validator(mode="after")
    def _one_key(self) -> "ApiKeySettings":
        if (self.key is None) == (self.key_file is None):
            raise wrong("key", "set exactly one of KEY and KEY_FILE")
        return self

    def read_key(self) -> str:
        """The key, from its file if it is in one. Raises SettingsError."""
        return read_secrets("KEY", [self.key] if self.key else [], self.key_file, 1)[0]


class WebhookSettings(SecretSettings):
    """A webhook of CINNOX's third-party channel, and where its messages go."""

    token: SecretStr | None = Field(None, description="Its token. Exactly one of `TOKEN` and `TOKEN_FILE` is set.")
    token_file: Path | None = Field(None, description="A file with its token, or with two, one per line.")
    relay_channel: _Channel = Field(description="The channel that its messages go to.")
    relay_to: Annotated[str, StringConstraints(min_length=1), AfterValidator(_to_template)] = Field(
        "{userId}",
        description="The room or user in that channel, a template such as `{userId}` or `{message.to.room}`.",
    )

    @model_validator(mode="after")
    def _one_token(self) -> "WebhookSettings":
        if (self.token is None) == (self.token_file is None):
            raise wrong("token", "set exactly one of TOKEN and TOKEN_FILE")
        return self

    def read_tokens(self) -> tuple[str, ...]:
        """Its token, or two during a change, from their file if they are in one. Raises SettingsError."""
        if self.token is not None:
            return read_secrets("TOKEN", [self.token], None, 1)
        return read_secrets("TOKEN", [], self.token_file, MAX_SECRETS)


class DashboardSettings(SecretSettings):
    """The page: who may log in, and from behind which proxies."""

    password_file: Path = Field(
        description="A file with the password, at least 12 characters. Replacing it ends all sessions at once."
    )
    trusted_proxies: _Networks = Field(
        (), description="Networks whose X-Forwarded-For and X-Forwarded-Proto are trusted, as those of moderation are."
    )

    def read_password(self) -> str:
        """The password that is in the file now. Raises SettingsError."""
        (password,) = read_secrets("PASSWORD", (), self.password_file, 1)
        if len(password) < MIN_PASSWORD_CHARS:
            raise SettingsError("PASSWORD_FILE", f"must hold a password of at least {MIN_PASSWORD_CHARS} characters")
        return password


class CallbackSettings(CommonSettings):
    """All settings of the callback."""

    moderation: ModerationSettings | None = Field(
        None, description="The moderation callback: `PUSHLANE_MODERATION__…`."
    )
    webhook: dict[str, WebhookSettings] = Field(
        default_factory=dict, description="The webhooks of CINNOX: `PUSHLANE_WEBHOOK__<NAME>__…`."
    )
    api_keys: dict[str, ApiKeySettings] = Field(
        default_factory=dict, description="Who may call `/v1`: `PUSHLANE_API_KEYS__<SERVICE>__…`."
    )
    dashboard: DashboardSettings | None = Field(
        None, description="The page for operators: `PUSHLANE_DASHBOARD__…`. Without it there is none."
    )

    @property
    def trusted_proxies(self) -> tuple[Network, ...]:
        """Those of all sections: they stand before the same port."""
        return tuple(one for section in (self.moderation, self.dashboard) if section for one in section.trusted_proxies)


def load_callback_settings() -> CallbackSettings:
    """The settings of this process, with every secret readable.

    Raises:
        SettingsError: One is missing, wrong or unknown. Its message names it and says what is allowed.
    """
    settings = load(CallbackSettings)
    settings.read_metrics_tokens()
    if settings.moderation is not None:
        _named(["moderation"], settings.moderation.read_tokens)
    tokens = {name: _named(["webhook", name], one.read_tokens) for name, one in settings.webhook.items()}
    _check_owners("webhook", "token", tokens)
    keys = {name: [_named(["api_keys", name], one.read_key)] for name, one in settings.api_keys.items()}
    _check_owners("api_keys", "key", keys)
    if settings.dashboard is not None:
        _named(["dashboard"], settings.dashboard.read_password)
    return settings


def _check_owners(section: str, secret: str, values: Mapping[str, Sequence[str]]) -> None:
    owners: dict[str, str] = {}
    for name, own in values.items():
        for value in own:
            if (owner := owners.setdefault(value, name)) != name:
                raise SettingsError(variable([section, name, secret]), f"is also the {secret} of {owner}")


def _named(path: list[str], read: Callable[[], _T]) -> _T:
    try:
        return read()
    except SettingsError as error:
        raise SettingsError(variable([*path, error.name]), error.problem) from None
