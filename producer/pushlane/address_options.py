"""The parameters behind the ``?`` of a Redis address: the database, TLS, and the sentinels' login.

Their names are redis-py's or kombu's, so that an address may be shared with other code.
"""

from __future__ import annotations

import difflib
import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Mapping

TLS: Final = frozenset(
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
SENTINEL: Final = ("sentinel_username", "sentinel_password")
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


def read(query: str) -> Mapping[str, str]:
    """The parameters by name. Raises ValueError for an unknown one."""
    options = dict(parse_qsl(query))
    known = TLS | _OTHERS | {*_DATABASE, *SENTINEL}
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name[:40], sorted(known), n=1)
            raise ValueError(f"it has an unknown parameter{f'; did you mean {near[0]}?' if near else ''}")
    return options


def database(options: Mapping[str, str], path: str) -> int:
    """The number among the parameters, or else that of the path. Raises ValueError."""
    number = next((options[name] for name in _DATABASE if name in options), path) or "0"
    if not (number.isascii() and number.isdecimal()):
        raise ValueError("its database must be a number")
    return int(number)


def tls(options: Mapping[str, str]) -> Mapping[str, Any]:
    """redis-py's ``ssl_*`` arguments; verifies certificate and name unless told otherwise. Raises ValueError."""
    found: dict[str, Any] = {name: value for name, value in options.items() if name in TLS}
    mode = found.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")  # kombu uses the names in ssl
    if mode not in _VERIFY:
        raise ValueError(f"ssl_cert_reqs must be one of {', '.join(_VERIFY)}")
    found["ssl_cert_reqs"] = _VERIFY[mode]
    found["ssl_check_hostname"] = mode != "none" and found.get("ssl_check_hostname", "").lower() not in _FALSE
    if (least := found.get("ssl_min_version")) is not None:
        try:
            found["ssl_min_version"] = ssl.TLSVersion(int(least))
        except ValueError:
            raise ValueError("ssl_min_version must be 771 (TLS 1.2) or 772 (TLS 1.3)") from None
    return found
