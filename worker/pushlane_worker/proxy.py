"""An HTTP proxy that a channel's pushes go through."""

import base64
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from pydantic import SecretStr

_ADDRESS: Final = re.compile(r"http://(?:([^\s/?#@]+)@)?([^\s/?#@]+)/?")


@dataclass(frozen=True, slots=True)
class Proxy:
    """Its address and credentials. ``url`` contains no credentials, so it may be printed."""

    url: str
    authorization: SecretStr | None = None
    """The value of ``Proxy-Authorization``."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers for a request to the proxy; secret."""
        shown = self.authorization
        return {} if shown is None else {"Proxy-Authorization": shown.get_secret_value()}


def parse_proxy(address: str) -> Proxy | None:
    """The proxy at ``http://[user:password@]host[:port]``, credentials percent-encoded; None for any other URL."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return None
    credentials, host = found.groups()
    if credentials is None:
        return Proxy(f"http://{host}")
    user, _, password = credentials.partition(":")
    basic = base64.b64encode(unquote_to_bytes(user) + b":" + unquote_to_bytes(password)).decode("ascii")
    return Proxy(f"http://{host}", SecretStr(f"Basic {basic}"))
