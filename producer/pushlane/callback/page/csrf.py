"""Whether a form was sent by a page of ours, and not by somebody else's page in the same browser.

A form carries a token that is made of the id in a cookie, which no other page can read. On top of that the browser
says where a request comes from.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.requests import Request

FIELD: Final = "csrf"


def token(cookie: str) -> str:
    """The token of a form for the browser with this cookie."""
    return hmac.digest(cookie.encode(), b"form", hashlib.sha256).hex()


def fits(cookie: str, given: str | None) -> bool:
    """Whether the token is the one for this cookie, in a time that reveals nothing about it."""
    return hmac.compare_digest(token(cookie).encode(), (given or "").encode())


def is_ours(request: Request) -> bool:
    """Whether the request comes from a page of ours, as far as the browser says.

    Old browsers, and those that speak plain http to another host, send no Sec-Fetch-Site; Origin comes with every POST.
    """
    if (site := request.headers.get("sec-fetch-site")) is not None:
        return site == "same-origin"
    if (origin := request.headers.get("origin")) is not None:
        return origin.lower().partition("://")[2] == request.headers.get("host", "").lower()
    return True
