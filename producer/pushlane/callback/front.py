"""What uvicorn calls: the app, with a line in the log for each request and a short cut to its one busy route."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.applications import Starlette
    from starlette.types import Message, Receive, Scope, Send

    from pushlane.callback.moderation import Moderation

CALLBACK_PATH: Final = "/tencent/callback"
GONE: Final = 400
"""For a peer that has left in the middle of its request: only the log reads it."""


class Front:
    """An ASGI app around the app.

    A request's line tells method, path, status and ms; neither its query, which holds a signature, nor its body.

    Args:
        app: The app. Its ``state.moderation``, if it has one, is asked without Starlette's layers, which would be a
            sixth of such a request's time.
        log: Writes a request's line, from its method, its path as it came, the status and the seconds that it took.
        close: Called when the app has ended: uvicorn's workers kill themselves then.
    """

    def __init__(
        self, app: Starlette, log: Callable[[str, bytes, int, float], None], close: Callable[[], None]
    ) -> None:
        self._app = app
        self._log = log
        self._close = close
        self._found: Moderation | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request and tells of it."""
        if scope["type"] != "http":
            try:
                await self._app(scope, receive, send)
            finally:
                self._close()
            return
        started, status = time.perf_counter(), 500
        try:
            if scope["path"] == CALLBACK_PATH and scope["method"] == "POST" and (moderation := self._moderation()):
                status = await _moderate(moderation, scope, receive, send)
            else:
                reply = _Reply(send)
                try:
                    await self._app(scope, receive, reply.send)
                finally:
                    status = reply.status
        finally:
            self._log(scope["method"], scope["raw_path"], status, time.perf_counter() - started)

    def _moderation(self) -> Moderation | None:
        # Starlette's State looks in vain for an attribute of this name first, each time.
        if self._found is None:
            self._found = getattr(self._app.state, "moderation", None)
        return self._found


class _Reply:
    """Notes the status of what is sent through it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 500

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


async def _moderate(moderation: Moderation, scope: Scope, receive: Receive, send: Send) -> int:
    try:
        response = await moderation.respond(Request(scope, receive))
    except ClientDisconnect:
        return GONE
    # What response() would send, without its look for a task group, a background and a WebSocket.
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": response.body})
    return response.status_code
