"""What every route needs: a bounded body in bounded time, the caller's identity, and answers in one form."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import types
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from pushlane.service.credentials import bearer, is_one_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from pushlane.callback.settings import ApiKeySettings, Network

MAX_PROXIES: Final = 20
"""How many addresses of X-Forwarded-For are looked at, the nearest first."""
MAX_BODY_BYTES: Final = 256 * 1024
"""Tencent's messages have at most 12 KB; larger content is sent as a key (its table of limits). Room for the envelope.
"""
CLOSE: Final = types.MappingProxyType({"Connection": "close"})
"""For answers to a body that is still arriving, so that a peer that trickles bytes does not keep its connection."""
RECEIVE_S: Final = 1.0
"""How long a body may take to arrive."""
_CODINGS: Final = {b"content-encoding": b"identity", b"transfer-encoding": b"chunked"}


class BodyRefused(Exception):
    """The body is refused, with this answer. The message continues a sentence that begins with "the body"."""

    status: int
    title: str
    headers: Mapping[str, str]


class BodyTooLarge(BodyRefused):
    """It is over its limit."""

    status, title, headers = 413, "Content Too Large", CLOSE


class BodyTooSlow(BodyRefused):
    """It did not arrive in time."""

    status, title, headers = 408, "Request Timeout", CLOSE


class BodyLost(BodyRefused):
    """It is empty although the head announces one: a server or a proxy has dropped it."""

    status, title, headers = 400, "Bad Request", types.MappingProxyType[str, str]({})


class BodyEncoded(BodyRefused):
    """It is compressed, so its real size is unknown."""

    status, title, headers = 415, "Unsupported Media Type", types.MappingProxyType({"Accept-Encoding": "identity"})


async def read_body(request: Request, most: int = MAX_BODY_BYTES, *, within_s: float = RECEIVE_S) -> bytes:
    """The whole body.

    Raises:
        BodyEncoded: It is compressed or otherwise encoded.
        BodyLost: It is missing.
        BodyTooLarge: It has more than ``most`` bytes, counted as they arrive.
        BodyTooSlow: It did not arrive in time.
        starlette.requests.ClientDisconnect: The peer is gone.
    """
    for name, value in request.scope["headers"]:
        if name in _CODINGS and value.strip().lower() != _CODINGS[name]:
            raise BodyEncoded("is compressed or otherwise encoded: send it unencoded")
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.stream():
                if len(body) + len(chunk) > most:
                    raise BodyTooLarge(f"has more than {most} bytes")
                body += chunk
    except TimeoutError:
        raise BodyTooSlow(f"did not arrive within {within_s:g} s") from None
    head = request.headers
    if not body and ("transfer-encoding" in head or head.get("content-length", "0") != "0"):
        raise BodyLost("is empty although the head announces one")
    return bytes(body)


def source_address(request: Request, proxies: Sequence[Network]) -> str:
    """The caller's address: the connection's, or the one that the nearest trusted proxies report."""
    address = request.client.host if request.client else ""
    if not proxies or "x-forwarded-for" not in request.headers:
        return address
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")[-MAX_PROXIES:]
    while forwarded and is_within(address, proxies):
        address = forwarded.pop().strip()
    return address


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether the address is in one of the networks; False for an invalid address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return any((mapped or parsed) in network for network in networks)


def caller(request: Request, secrets: Mapping[str, Sequence[str]]) -> str | None:
    """The name of the owner of the request's one bearer token. Every secret is compared, each in constant time."""
    token = bearer(request.headers.getlist("authorization"))
    matches = [name for name, known in secrets.items() if is_one_of(known, token)]
    return matches[0] if token and matches else None


class ApiKeys:
    """Who may call ``/v1``, and which channels each may use. Raises SettingsError if a key cannot be read."""

    def __init__(self, services: Mapping[str, ApiKeySettings]) -> None:
        self._keys = {name: [service.read_key()] for name, service in services.items()}
        self._channels = {name: service.channels for name, service in services.items()}

    def refuse(self, request: Request, channel: str) -> Response | None:
        """The answer if the request must not use the channel: 401 without a known key, else 403. None if it may."""
        service = self.service(request)
        if service is None:
            return unauthorized()
        if channel not in self._channels[service]:
            return problem(403, "Forbidden", f"{service} may not use this channel")
        return None

    def service(self, request: Request) -> str | None:
        """The service whose key the request carries."""
        return caller(request, self._keys)


def unauthorized(needs: str = "an API key") -> Response:
    """The answer to a request without this."""
    headers = {"WWW-Authenticate": "Bearer"}
    return problem(401, "Unauthorized", f"needs {needs}: Authorization: Bearer …", headers=headers)


def json_response(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON document."""
    return Response(json.dumps(document), status, headers, "application/json")


def problem(
    status: int, title: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: object
) -> Response:
    """An error as ``application/problem+json`` (RFC 9457). The detail never quotes a message's text."""
    document = {"title": title, "status": status, "detail": detail, **more}
    return Response(json.dumps(document), status, headers, "application/problem+json")
