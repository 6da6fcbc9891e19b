"""``GET /openapi.json``: the served routes as OpenAPI 3.1, for callers with an API key.

Each group of routes has a module with its ``Part``; only parts whose routes are served are in the document.

::

    part         what a part is, and what parts share
    messages     ``/v1/channels/{channel}/messages``; forms: the JSON of a message
    decisions    ``/v1/channels/{channel}/decisions/{key}``
    moderation   the platform's callback
    webhook      CINNOX's webhook
    health       ``/healthz`` and ``/readyz``
    metrics      ``/metrics``
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.responses import Response

from pushlane import __version__
from pushlane.callback.http.web import unauthorized
from pushlane.callback.openapi import decisions, health, messages, metrics, moderation, webhook
from pushlane.callback.openapi.part import API_KEY

if TYPE_CHECKING:
    from typing import Any

    from starlette.requests import Request

    from pushlane.callback.http.web import ApiKeys
    from pushlane.callback.openapi.part import Part
    from pushlane.callback.settings import CallbackSettings


class Description:
    """The route. The document is built once."""

    def __init__(self, settings: CallbackSettings, keys: ApiKeys) -> None:
        self._keys = keys
        self._document = json.dumps(document(parts(settings))).encode()

    async def respond(self, request: Request) -> Response:
        """The document."""
        if self._keys.service(request) is None:
            return unauthorized()
        return Response(self._document, media_type="application/json")


def parts(settings: CallbackSettings) -> list[Part]:
    """A part for each group of routes that these settings serve; add new ones here."""
    is_open = settings.metrics_token_file is None
    served = [health.PART, metrics.part(is_open=is_open), messages.PART, decisions.PART]
    if settings.webhook:
        served.append(webhook.PART)
    if settings.moderation is not None:
        served.append(moderation.part(signed=bool(settings.moderation.read_tokens())))
    return served


def document(served: list[Part]) -> dict[str, Any]:
    """The whole document of these parts."""
    schemas: dict[str, Any] = {}
    security: dict[str, Any] = {"api_key": API_KEY}
    paths: dict[str, Any] = {}
    for part in served:
        paths |= part.paths
        schemas |= part.schemas
        security |= part.security_schemes
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pushlane",
            "version": __version__,
            "description": "A queue between services and chat APIs: enqueueing, moderation and decisions over HTTP.",
        },
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": security},
    }
