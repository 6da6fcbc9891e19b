"""A server span for each request, around the app; only loaded when the process exports spans."""

from __future__ import annotations

from http import HTTPMethod, HTTPStatus
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.requests import Request

from pushlane import tracing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from pushlane.callback.http.web import ApiKeys

UNTRACED: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""What machines ask every few seconds."""
_CONTEXT: Final = (b"traceparent", b"tracestate")
_METHODS: Final = frozenset(HTTPMethod)


class RequestSpans:
    """An ASGI app around the app.

    The trace of a caller who has an API key goes on. Anybody else's request begins a trace of its own, with a link to
    the caller's: a stranger must not decide what is recorded, nor add spans to our traces.

    A span has the name of its route, as there are few of these. It has neither the path, whose ids and keys are
    senders' words, nor the query, which contains a signature.
    """

    def __init__(self, app: ASGIApp, keys: ApiKeys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request within a span."""
        if scope["type"] != "http" or scope["path"] in UNTRACED:
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        parent, links = self._origin(scope)
        attributes: tracing.Attributes = {"http.request.method": method, "url.scheme": scope["scheme"]}
        with tracing.start(method, "SERVER", attributes, parent, links) as span:

            async def note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attributes({"http.response.status_code": message["status"]})
                    if message["status"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
                        span.set_error(str(message["status"]))
                await send(message)

            try:
                await self._app(scope, receive, note)
            finally:
                if (route := getattr(scope.get("route"), "path", None)) is not None:
                    trace.get_current_span().update_name(f"{method} {route}")
                    span.set_attributes({"http.route": route})

    def _origin(self, scope: Scope) -> tuple[Context | None, Sequence[trace.Link]]:
        """The context that a request's span continues, and the links that it has instead."""
        carrier = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _CONTEXT}
        context = TraceContextTextMapPropagator().extract(carrier)
        if self._keys.service(Request(scope)) is not None:
            return context, ()
        caller = trace.get_current_span(context).get_span_context()
        return None, [trace.Link(caller)] if caller.is_valid else ()
