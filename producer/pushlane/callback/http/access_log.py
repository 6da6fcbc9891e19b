"""The app that uvicorn calls, with a line in the log for each request."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pushlane.callback.http.connection import PEER
from pushlane.service.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN: Final = frozenset({"GET", "HEAD"})
"""Methods that answer anybody; success with any other takes a signature, a token or a key."""


class AccessLog:
    """An ASGI app around the app.

    A request's line has its method, its path as it was sent, status and ms, but not its query, which contains a
    signature, nor its body. ``close`` is called when the app has ended: uvicorn's workers then kill themselves.
    """

    def __init__(self, app: ASGIApp, close: Callable[[], None]) -> None:
        self._app = app
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request and logs it."""
        if scope["type"] != "http":
            try:
                await self._app(scope, receive, send)
            finally:
                self._close()
            return
        started, status = time.perf_counter(), 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                peer = scope.get("extensions", {}).get(PEER)
                if status < HTTPStatus.BAD_REQUEST and scope["method"] not in OPEN and peer:
                    peer["connection"].known = True  # so that it is not closed for one that has shown no secret
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            path = scope["raw_path"].decode("ascii", errors="replace")
            ms = round((time.perf_counter() - started) * 1000, 1)
            logger().info("request", method=scope["method"], path=path, status=status, ms=ms)
