"""The address of a Redis, checked before anything connects and parsed alike for the queue and for Celery's broker.

It may contain a password, so no error here quotes any part of it.
"""

from __future__ import annotations

import difflib
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

EXAMPLE: Final = "redis://localhost:6379/0"
DEFAULT_PORT: Final = 6379
_UNIX: Final = ("unix", "redis+socket")  # redis-py's name and kombu's
_TLS: Final = frozenset(
    f"ssl_{name}"
    for name in (
        "ca_certs",
        "ca_data",
        "ca_path",
        "cert_reqs",
        "certfile",
        "check_hostname",
        "ciphers",
        "keyfile",
        "min_version",
        "password",
    )
)
_DATABASE: Final = ("db", "virtual_host")  # redis-py's name and kombu's
_OTHERS: Final = frozenset(
    [
        "client_name",
        "decode_responses",
        "encoding",
        "encoding_errors",
        "health_check_interval",
        "legacy_responses",
        "max_connections",
        "protocol",
        "retry_on_timeout",
        "socket_connect_timeout",
        "socket_keepalive",
        "socket_read_size",
        "socket_timeout",
        "timeout",
    ]
)
"""redis-py's other parameters: an address that is shared with other code may have them. Pushlane ignores them."""
_VERIFY: Final = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_FALSE: Final = ("0", "f", "false", "n", "no")
_ESCAPE: Final = "a user name or password must be percent-encoded: @ is %40, / is %2F, : is %3A, ? is %3F, # is %23"


@dataclass(frozen=True, slots=True)
class Address:
    """One server. ``path`` is that of a unix socket; ``tls`` holds redis-py's ``ssl_*``, None without TLS."""

    username: str | None
    password: str | None = field(repr=False)
    db: int
    host: str = "localhost"
    port: int = DEFAULT_PORT
    path: str = ""
    tls: Mapping[str, Any] | None = field(default=None, repr=False)

    def for_celery(self) -> str:
        """The same address in kombu's form. It contains the password, but no TLS options: these are set separately."""
        user = "" if self.username is None else quote(self.username, safe="")
        secret = "" if self.password is None else f":{quote(self.password, safe='')}"
        login = f"{user}{secret}@" if user or secret else ""
        if self.path:
            return f"redis+socket://{login}{quote(self.path)}?virtual_host={self.db}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"redis{'' if self.tls is None else 's'}://{login}{host}:{self.port}/{self.db}"


def parse(url: str) -> Address:
    """Parses ``redis://``, ``rediss://`` and ``unix://``.

    TLS verifies the certificate and its name unless the address itself says otherwise.

    Raises:
        ValueError: The address is invalid; the message says what is wrong and what would be right.
    """
    if any(char.isspace() or not char.isprintable() for char in url):
        raise _wrong("it has blanks or control characters")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _wrong(f"[ and ] are only for an IPv6 address; {_ESCAPE}") from None
    if parts.scheme in _UNIX:
        return _socket(parts)
    if parts.scheme not in {"redis", "rediss"}:
        raise _wrong("it must begin with redis://, rediss:// or unix://")
    if "#" in url or "@" in parts.path + parts.query:
        raise _wrong(_ESCAPE)
    if "," in parts.netloc.rpartition("@")[2]:
        raise _wrong("it must name one server: this version supports neither Cluster nor Sentinel")
    port, options = _port(parts), _options(parts)
    if parts.scheme == "redis" and any(name in _TLS for name in options):
        raise _wrong("ssl_… needs rediss://")
    return Address(
        *_login(parts),
        _database(options, parts.path.removeprefix("/")),
        parts.hostname or "localhost",
        port,
        tls=_tls(options) if parts.scheme == "rediss" else None,
    )


def _socket(parts: SplitResult) -> Address:
    if parts.netloc.rpartition("@")[2] or not parts.path.strip("/"):
        raise _wrong(f"a unix socket is written unix:///path/to/redis.sock?db=0; {_ESCAPE}")
    if parts.fragment:
        raise _wrong(_ESCAPE)
    return Address(*_login(parts), _database(_options(parts), ""), path=unquote(parts.path))


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:  # its message quotes the port
        port = 0
    if port == 0:
        raise _wrong("its port must be a number from 1 to 65535")
    return port or DEFAULT_PORT


def _login(parts: SplitResult) -> tuple[str | None, str | None]:
    username, password = parts.username, parts.password
    return unquote(username) if username else None, unquote(password) if password else None


def _options(parts: SplitResult) -> Mapping[str, str]:
    options = dict(parse_qsl(parts.query))
    known = _TLS | _OTHERS | {*_DATABASE}
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name[:40], sorted(known), n=1)
            raise _wrong(f"it has an unknown parameter{f'; did you mean {near[0]}?' if near else ''}")
    return options


def _database(options: Mapping[str, str], path: str) -> int:
    number = next((options[name] for name in _DATABASE if name in options), path) or "0"
    if not (number.isascii() and number.isdecimal()):
        raise _wrong("its database must be a number")
    return int(number)


def _tls(options: Mapping[str, str]) -> Mapping[str, Any]:
    tls: dict[str, Any] = {name: value for name, value in options.items() if name in _TLS}
    mode = tls.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")  # kombu uses the names in ssl
    if mode not in _VERIFY:
        raise _wrong(f"ssl_cert_reqs must be one of {', '.join(_VERIFY)}")
    tls["ssl_cert_reqs"] = _VERIFY[mode]
    tls["ssl_check_hostname"] = mode != "none" and tls.get("ssl_check_hostname", "").lower() not in _FALSE
    if (least := tls.get("ssl_min_version")) is not None:
        try:
            tls["ssl_min_version"] = ssl.TLSVersion(int(least))
        except ValueError:
            raise _wrong("ssl_min_version must be 771 (TLS 1.2) or 772 (TLS 1.3)") from None
    return tls


def _wrong(problem: str) -> ValueError:
    return ValueError(f"must be an address like {EXAMPLE}: {problem}")
