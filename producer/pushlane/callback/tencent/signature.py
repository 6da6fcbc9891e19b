"""Authenticates a callback by its query string, before anything else in the request is looked at.

``Sign`` is the hex SHA-256 of the token, directly followed by ``RequestTime``. It covers neither the body nor the
command, so anyone who has seen one request can send others for a minute.
"""

from __future__ import annotations

import re
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MAX_QUERY_BYTES: Final = 8192
"""Many times what Tencent sends; our own limit."""

WINDOW_S: Final = 60
"""How far off a RequestTime may be, either way (cloud.tencent.com/document/product/269/32431)."""

Refused = Literal["too_long", "unreadable", "parameter_twice", "foreign_app", "request_time", "sign", "stale"]
"""Why a query is refused, for the log and a metric's label: nothing that helps to forge a signature. ``stale`` means
that the signature was right, so the cause is a clock or a replay."""

_REQUEST_TIME: Final = re.compile(r"[0-9]{10}")
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Query(NamedTuple):
    """What we need of a query: one of our apps, and the CallbackCommand, unchecked and empty if absent."""

    sdk_app_id: str
    command: str = ""


def check_query(
    raw_query: bytes, *, sdk_app_ids: Collection[str], tokens: Sequence[str], now: float
) -> Query | Refused:
    """The query, if it comes from one of these apps and is signed with one of these tokens.

    Args:
        raw_query: Everything after the question mark, not decoded.
        sdk_app_ids: Ours.
        tokens: One, or two while they rotate. Without any, no signature is needed: whether that is allowed is decided
            where the endpoint is set up. An empty token matches no signature.
        now: Seconds since 1970.
    """
    if len(raw_query) > MAX_QUERY_BYTES:
        return "too_long"
    parameters = _parameters(raw_query)
    if not isinstance(parameters, dict):
        return parameters
    if (sdk_app_id := parameters.get("SdkAppid", "")) not in sdk_app_ids:
        return "foreign_app"
    if tokens and (refused := _check_sign(parameters, tokens, now)):
        return refused
    return Query(sdk_app_id, parameters.get("CallbackCommand", ""))


def _parameters(raw_query: bytes) -> dict[str, str] | Refused:
    # Most of Tencent's queries contain nothing to unescape, and are decoded in one go.
    try:
        query = raw_query.decode()
        pieces = [piece.partition("=") for piece in query.split("&")]
        parameters = {name: value for name, _, value in pieces}
        if "%" in query or "+" in query:
            parameters = {_unescape(name): _unescape(value) for name, value in parameters.items()}
    except ValueError:
        return "unreadable"
    # Of a duplicate parameter, a proxy in front may read the first value, and we the last.
    return parameters if len(parameters) == len(pieces) else "parameter_twice"


def _unescape(piece: str) -> str:
    # unquote leaves a broken escape as it is, and would replace a broken UTF-8 sequence.
    if _BROKEN_ESCAPE.search(piece):
        raise ValueError("broken percent-encoding")
    return unquote_to_bytes(piece.replace("+", " ")).decode()


def _check_sign(parameters: dict[str, str], tokens: Sequence[str], now: float) -> Refused | None:
    request_time = parameters.get("RequestTime", "")
    # Ten digits and no more: a longer time could be a length extension, and int() also takes blanks and other digits.
    if not _REQUEST_TIME.fullmatch(request_time):
        return "request_time"
    given = parameters.get("Sign", "").encode().lower()
    # A list, so that every token is compared: the time taken does not tell which one matched.
    matches = [compare_digest(sign(token, request_time).encode(), given) for token in tokens if token]
    if not any(matches):
        return "sign"
    return None if abs(now - int(request_time)) <= WINDOW_S else "stale"


def sign(token: str, request_time: str) -> str:
    """The ``Sign`` of a request of this time, in seconds since 1970."""
    return sha256((token + request_time).encode()).hexdigest()
