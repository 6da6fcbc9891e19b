"""``/metrics``, for Prometheus: with a token if the settings name one, otherwise open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from pushlane.callback.http.web import caller, unauthorized
from pushlane.metrics.exposition import CONTENT_TYPE
from pushlane.metrics.scrape import Scrape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request


class Metrics:
    """The route. Belongs to one event loop."""

    def __init__(self, redis_url: str, tokens: Sequence[str]) -> None:
        self.scrape = Scrape(redis_url)
        self._tokens = tokens

    async def respond(self, request: Request) -> Response:
        """All metrics, in Prometheus' text format."""
        if self._tokens and caller(request, {"": self._tokens}) is None:
            return unauthorized("the token for metrics")
        return Response(await self.scrape.text(), media_type=CONTENT_TYPE)
