"""The settings of one channel: where it pushes, with which token, at which pace, and how patiently."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StringConstraints, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from pushlane.errors import SettingsError
from pushlane.service.configuration import comma_separated, matching
from pushlane_worker.proxy import Proxy, parse_proxy

_TOKEN = re.compile(r"[\x21-\x7e]+")
_RATE = re.compile(r"([1-9]\d{0,6})/([1-9]\d{0,4})s")


_OWN: Final[Mapping[str, tuple[str, ...]]] = {"cinnox": ("base_url", "app_id"), "third_party": ("url",)}
"""The settings specific to a kind. It requires all of its own and accepts none of another kind's."""


class RateLimit(NamedTuple):
    """At most ``pushes`` pushes in any window of ``window_s`` seconds."""

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


def _parse_proxy(value: object) -> Proxy | None:
    if value is None or isinstance(value, Proxy):
        return value
    if isinstance(value, str) and (proxy := parse_proxy(value)):
        return proxy
    raise PydanticCustomError("proxy", "must be like http://proxy:3128 or http://user:password@proxy:3128")


def _usual_rate(values: Mapping[str, Any]) -> RateLimit | None:
    """CINNOX allows 500 requests per minute; for other addresses we know no limit."""
    return RateLimit(500, 60) if values.get("kind") == "cinnox" else None


_Rate = Annotated[RateLimit | None, NoDecode, BeforeValidator(_parse_rate)]
_Proxy = Annotated[Proxy | None, NoDecode, BeforeValidator(_parse_proxy)]
_Codes = Annotated[frozenset[int], NoDecode, BeforeValidator(comma_separated)]
_Http = Annotated[
    str,
    matching(r"https?://[^\s/?#@]+(/[^\s?#]*)?", "must be like https://api.example.com/path, without a user, ? or #"),
]
_Queue = Annotated[
    str, matching(r"[A-Za-z0-9_.-]{1,64}", "must be 1 to 64 letters, digits, dots, hyphens or underscores")
]


class ChannelSettings(BaseModel):
    """One channel: an account at a remote API, and how patient we are with it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: Literal["cinnox", "third_party"] = Field(description="The remote API: `cinnox` or `third_party`.")
    base_url: _Http | None = Field(
        None, description="The API's base address, such as `https://api.example.com`; required for `cinnox`."
    )
    app_id: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = Field(
        None, description="The app ID; required for `cinnox`."
    )
    url: _Http | None = Field(
        None,
        description=("The whole address, such as `https://hook.example.com/webhookUrl`; required for `third_party`."),
    )
    token: SecretStr | None = Field(
        None, description="The bearer token. Exactly one of `TOKEN` and `TOKEN_FILE` is set."
    )
    token_file: Path | None = Field(None, description="A file that holds the token; it is read again when it changes.")
    proxy_url: _Proxy = Field(None, description="An HTTP proxy for its pushes, `http://[user:password@]host:port`.")
    queue: _Queue = Field("pushlane", description="The Celery queue for its drains.")
    rate_limit: _Rate = Field(
        default_factory=_usual_rate,
        description=(
            "`PUSHES/SECONDSs`: the most pushes in any window of this length, over all workers; or "
            "`none`, the default for `third_party`."
        ),
    )
    max_queued: int = Field(1_000_000, ge=1, description="Messages that may wait in the channel; more are refused.")
    max_attempts: int = Field(40, ge=1, le=9999, description="Failed pushes of a message before it is a dead letter.")
    max_age_s: float = Field(
        86_400, gt=0, description="Seconds a message may be in its conversation before a failure is final."
    )
    backoff_base_s: float = Field(
        1, gt=0, description="First wait after a failure, in seconds; doubles, with full jitter."
    )
    backoff_cap_s: float = Field(300, gt=0, le=86_400, description="Longest wait after a failure, in seconds.")
    breaker_after: int = Field(10, ge=1, description="Failures in a row, over all conversations, that break the gate.")
    breaker_cap_s: float = Field(
        60, ge=1, le=86_400, description="Longest wait between two probes of a broken API, in seconds."
    )
    retry_after_cap_s: float = Field(
        3600, ge=1, le=86_400, description="Longest Retry-After that is obeyed, in seconds."
    )
    on_unknown: Literal["retry", "dead_letter"] = Field(
        "retry", description="After a push of unknown outcome: `retry` may duplicate, `dead_letter` may lose."
    )
    on_empty_answer: Literal["unknown", "delivered"] = Field(
        "unknown", description="What a 2xx without a body means: `unknown` or `delivered`."
    )
    retry_codes: _Codes = Field(frozenset(), description="Further API codes that mean: failed, try again.")
    reject_codes: _Codes = Field(frozenset(), description="Further API codes that mean: a message is rejected.")
    text_unit: Literal["codepoints", "utf16", "bytes"] = Field(
        "codepoints", description="What the limit of 5,000 characters counts: `codepoints`, `utf16` or `bytes`."
    )
    max_message_bytes: int = Field(65_536, ge=1, le=999_999, description="Largest message as it is stored.")

    @model_validator(mode="after")
    def _what_its_kind_needs(self) -> "ChannelSettings":
        for kind, names in _OWN.items():
            for name in names:
                given = getattr(self, name) is not None
                if kind == self.kind and not given:
                    what = type(self).model_fields[name].description
                    raise PydanticCustomError("needs", "is missing: {what}", {"what": what, "setting": [name]})
                if kind != self.kind and given:
                    message = "goes with KIND={kind}; KIND={own} takes {instead}"
                    instead = " and ".join(one.upper() for one in _OWN[self.kind])
                    facts = {"kind": kind, "own": self.kind, "instead": instead, "setting": [name]}
                    raise PydanticCustomError("foreign", message, facts)
        return self

    @model_validator(mode="after")
    def _one_token(self) -> "ChannelSettings":
        if (self.token is None) == (self.token_file is None):
            raise PydanticCustomError("token", "set exactly one of TOKEN and TOKEN_FILE")
        if self.token is not None and not _TOKEN.fullmatch(self.token.get_secret_value()):
            raise PydanticCustomError("token", "TOKEN must be printable ASCII without spaces")
        return self

    @property
    def address(self) -> str:
        """The API's address: ``BASE_URL`` or ``URL``, depending on the kind."""
        return self.base_url or self.url or ""

    def read_token(self) -> str:
        """The token, read from its file if one is set.

        Raises:
            SettingsError: The file cannot be read, or holds no token.
        """
        if self.token is not None:
            return self.token.get_secret_value()
        try:
            token = Path(str(self.token_file)).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError("TOKEN_FILE", f"cannot be read: {error}") from None
        except ValueError:  # its message would show a part of the token
            raise SettingsError("TOKEN_FILE", f"cannot be read: {self.token_file} is not UTF-8") from None
        if not _TOKEN.fullmatch(token):
            raise SettingsError("TOKEN_FILE", "must hold one token of printable ASCII without spaces")
        return token
