"""Who asks: the query string of a callback, checked before anything else of the request is looked at.

``Sign`` is the hex SHA-256 of the token and ``RequestTime``, joined by nothing. It covers neither the body nor the
command, so who has seen one request can send others for a minute.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_QUERY_BYTES: Final = 8192
"""Many times what Tencent sends; our own number."""

WINDOW_S: Final = 60
"""So old or so early a RequestTime may be (cloud.tencent.com/document/product/269/32431)."""

Reason = Literal["too_long", "unreadable", "parameter_twice", "foreign_app", "request_time", "sign", "stale"]

_REQUEST_TIME: Final = re.compile(r"[0-9]{10}")
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Query(NamedTuple):
    """What a query says. All but ``sdk_app_id`` is unchecked, and empty when it is absent.

    Attributes:
        sdk_app_id: One of ours.
        command: The CallbackCommand.
        client_ip: The sender's address, as Tencent saw it.
        platform: The sender's OptPlatform: ``iOS``, ``Web``, ``RESTAPI``, in any spelling.
        request_id: RequestId, which Tencent's table leaves out but its servers send.
    """

    sdk_app_id: str
    command: str = ""
    client_ip: str = ""
    platform: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A query that is not answered.

    Attributes:
        reason: One of a few fixed words for the log and a metric's label; ``stale`` means that the sign was right,
            so it is a clock or a replay. Holds nothing that helps to sign.
    """

    reason: Reason


def check_query(raw_query: bytes, *, sdk_app_ids: frozenset[str], tokens: Sequence[str], now: float) -> Query | Refused:
    """The query's facts, if it comes from one of these apps and is signed with one of these tokens.

    Args:
        raw_query: What stands behind the question mark, as it came.
        sdk_app_ids: Ours.
        tokens: One, or two while they rotate. Without any, nothing needs to be signed: whether that may be is decided
            where the endpoint is set up. An empty token matches no sign.
        now: Seconds since 1970.
    """
    if len(raw_query) > MAX_QUERY_BYTES:
        return Refused("too_long")
    parameters = _parameters(raw_query)
    if isinstance(parameters, Refused):
        return parameters
    if (sdk_app_id := parameters.get("SdkAppid", "")) not in sdk_app_ids:
        return Refused("foreign_app")
    if tokens and (refused := _check_sign(parameters, tokens, now)):
        return refused
    get = parameters.get
    return Query(
        sdk_app_id, get("CallbackCommand", ""), get("ClientIP", ""), get("OptPlatform", ""), get("RequestId", "")
    )


def _parameters(raw_query: bytes) -> dict[str, str] | Refused:
    # What Tencent sends mostly holds nothing to unescape; then it is decoded at once.
    try:
        query = raw_query.decode()
        pieces = [piece.partition("=") for piece in query.split("&")]
        parameters = {name: value for name, _, value in pieces}
        if "%" in query or "+" in query:
            parameters = {_unescape(name): _unescape(value) for name, value in parameters.items()}
    except ValueError:
        return Refused("unreadable")
    # A proxy in front may read the first of two, and we the last.
    return parameters if len(parameters) == len(pieces) else Refused("parameter_twice")


def _unescape(piece: str) -> str:
    # unquote leaves a broken escape as it is, and would put a replacement character for a broken UTF-8 sequence.
    if _BROKEN_ESCAPE.search(piece):
        raise ValueError("broken percent-encoding")
    return unquote_to_bytes(piece.replace("+", " ")).decode()


def _check_sign(parameters: dict[str, str], tokens: Sequence[str], now: float) -> Refused | None:
    request_time = parameters.get("RequestTime", "")
    # Ten digits and no more: a longer time could be a length extension, and int() also takes blanks and other digits.
    if not _REQUEST_TIME.fullmatch(request_time):
        return Refused("request_time")
    given = parameters.get("Sign", "").encode().lower()
    # A list, so that every token is compared: the time taken does not tell which one matched.
    matches = [compare_digest(sign(token, request_time).encode(), given) for token in tokens if token]
    if not any(matches):
        return Refused("sign")
    return None if abs(now - int(request_time)) <= WINDOW_S else Refused("stale")


@lru_cache(maxsize=256)  # all requests of a second have the same
def sign(token: str, request_time: str) -> str:
    """The ``Sign`` of a request of this time, in seconds since 1970."""
    return sha256((token + request_time).encode()).hexdigest()
