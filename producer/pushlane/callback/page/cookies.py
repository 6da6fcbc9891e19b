"""The two cookies: one that names a session, and one for the login form, which belongs to nobody yet.

Over https their names begin with ``__Host-``, so that no other host, no other path and no plain http can set them.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Final

from pushlane.callback.http.web import is_within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from pushlane.callback.settings import Network

SESSION: Final = "pushlane"
LOGIN: Final = "pushlane-login"
ID_BYTES: Final = 32
_ID: Final = re.compile(r"[\w-]{43}", re.ASCII)


def new_id() -> str:
    """A random id that nobody can guess."""
    return secrets.token_urlsafe(ID_BYTES)


def is_https(request: Request, proxies: Sequence[Network]) -> bool:
    """Whether the browser speaks https: with us, or with a trusted proxy that says so in X-Forwarded-Proto."""
    if request.client is not None and is_within(request.client.host, proxies):
        return ",".join(request.headers.getlist("x-forwarded-proto")).rpartition(",")[2].strip().lower() == "https"
    return request.url.scheme == "https"


def read(request: Request, name: str, *, https: bool) -> str | None:
    """The id in this cookie; None if there is none, or several: then another host or path has set one, too."""
    wanted = _named(name, https=https)
    pairs = (pair.partition("=") for line in request.headers.getlist("cookie") for pair in line.split(";"))
    values = [value.strip() for key, _, value in pairs if key.strip() == wanted]
    return values[0] if len(values) == 1 and _ID.fullmatch(values[0]) else None


def write(response: Response, name: str, value: str, *, https: bool) -> None:
    """Sets this cookie, until the browser is closed."""
    response.set_cookie(_named(name, https=https), value, path="/", secure=https, httponly=True, samesite="strict")


def clear(response: Response, name: str, *, https: bool) -> None:
    """Deletes it."""
    response.delete_cookie(_named(name, https=https), path="/", secure=https, httponly=True, samesite="strict")


def _named(name: str, *, https: bool) -> str:
    return f"__Host-{name}" if https else name
