"""The callback's app in the test's own process, with everything around it but the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

import httpx

from pushlane.callback.http.access_log import AccessLog

if TYPE_CHECKING:
    from starlette.applications import Starlette

URL = "http://callback"
Headers = Mapping[str, str | bytes] | Sequence[tuple[bytes, bytes]]


class InProcess:
    """The app with its lifespan; its loop runs only while a request is answered."""

    def __init__(self, app: Starlette) -> None:
        self._app = AccessLog(app, lambda: None)
        self._runner = asyncio.Runner()
        self._life = app.router.lifespan_context(app)

    def __enter__(self) -> Self:
        self._runner.run(self._life.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._life.__aexit__(None, None, None))
        self._runner.close()

    def send(
        self,
        target: httpx.URL,
        body: bytes | AsyncIterable[bytes],
        headers: Headers,
        *,
        peer: str = "198.51.100.7",
    ) -> httpx.Response:
        """The answer to a POST. A defect is status 500, as it is outside."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False, client=(peer, 1234))
            async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
                return await client.post(target, content=body, headers=headers)  # type: ignore[arg-type] # as bytes

        return self._runner.run(send())

    def idle(self, seconds: float) -> None:
        """Lets the app's background work go on for this long."""
        self._runner.run(asyncio.sleep(seconds))
