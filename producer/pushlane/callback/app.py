"""The app: its routes, and what they need while the process lives."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from pushlane import tracing
from pushlane.async_producer import AsyncProducer
from pushlane.callback import routing
from pushlane.callback.cancelling import cancel_and_wait
from pushlane.callback.cinnox.webhook import Webhook
from pushlane.callback.decisions.feed import Feed
from pushlane.callback.decisions.spool import Spool
from pushlane.callback.http import library_log, problems
from pushlane.callback.http.access_log import AccessLog
from pushlane.callback.http.holds import Holds
from pushlane.callback.http.messages import Messages
from pushlane.callback.http.metrics import Metrics
from pushlane.callback.http.readiness import Readiness
from pushlane.callback.http.web import ApiKeys, json_response
from pushlane.callback.moderation.endpoint import Moderation
from pushlane.callback.moderation.policies import make_policies
from pushlane.callback.moderation.policy_pool import PROCESSES, PolicyPool
from pushlane.callback.openapi import Description
from pushlane.callback.page.site import Site
from pushlane.callback.policy_settings import BUILT_IN
from pushlane.callback.settings import CallbackSettings, load_callback_settings
from pushlane.errors import SettingsError
from pushlane.metrics.families import SpoolSize
from pushlane.service.logs import configure, make_writer
from pushlane.service.span_export import SpanExport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

    from pushlane.callback.chat_message import ChatMessage
    from pushlane.callback.moderation.endpoint import Router
    from pushlane.callback.settings import ModerationSettings


CALLBACK_PATH: Final = "/tencent/callback"
GONE: Final = 400
"""The status for a peer that has left in the middle of its request: it only appears in the log."""


class AnyText(Convertor[str]):
    """The rest of a path, whatever it contains: Starlette's own ``path`` ends at a line break."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        """Returns it unchanged."""
        return value


register_url_convertor("any", AnyText())


def create_app() -> ASGIApp:
    """The app with the settings of this process; uvicorn's workers call this. Raises SettingsError."""
    settings = load_callback_settings()
    writer = make_writer(settings.log_format)
    configure(settings.log_format, settings.log_level, writer)
    library_log.take_over()
    spans = SpanExport("pushlane-callback")
    spans.start()

    def close() -> None:
        spans.close()
        writer.close()

    app: ASGIApp = AccessLog(make_app(settings), close)
    if tracing.is_on():
        from pushlane.callback.http.request_spans import RequestSpans  # noqa: PLC0415 # needs the extra otel

        app = RequestSpans(app, ApiKeys(settings.api_keys))
    # These objects live for ever: every full collection would pause for 100 ms just to find that out.
    gc.collect()
    gc.freeze()
    return app


def make_app(settings: CallbackSettings) -> Starlette:
    """The app with these settings. Raises SettingsError if the blocked words cannot be loaded."""
    moderation = settings.moderation
    policies = make_policies(moderation) if moderation else ()
    keys = ApiKeys(settings.api_keys)
    producer, readiness = AsyncProducer(settings.redis_url), Readiness(settings.redis_url, moderates=bool(moderation))
    holds, messages = Holds(producer, keys), Messages(producer, keys)
    metrics = Metrics(settings.redis_url, settings.read_metrics_tokens())
    site = Site(settings, settings.dashboard) if settings.dashboard else None

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(producer)
            stack.push_async_callback(readiness.aclose)
            stack.callback(metrics.scrape.close)
            if site is not None:
                stack.callback(site.close)
            watching = asyncio.create_task(readiness.watch())
            stack.push_async_callback(cancel_and_wait, watching)
            if moderation is not None:
                pool = await stack.enter_async_context(_pool(moderation, PROCESSES))
                feed = Feed(settings.redis_url, settings.retention_s, await _open_spool(moderation))
                metrics.scrape.spool = lambda: SpoolSize(*feed.spooled)
                feed.start()
                stack.push_async_callback(feed.aclose)
                chain, route = pool.chain(policies), _route(moderation, pool)
                app.state.moderation = Moderation(moderation, moderation.read_tokens(), chain, feed, route)
                stack.push_async_callback(app.state.moderation.aclose)
            yield

    # Each request tries them in this order, and moderation gets the most requests.
    routes = [Route(CALLBACK_PATH, _moderate, methods=["POST"])] if moderation is not None else []
    routes += [
        Route("/healthz", _healthz),
        Route("/readyz", readiness.respond),
        Route("/metrics", metrics.respond),
        Route("/openapi.json", Description(settings, keys).respond),
        Route("/v1/channels/{channel}/messages", messages.enqueue, methods=["POST"]),
        Route("/v1/channels/{channel}/messages/{message_id}", messages.one, methods=["GET", "DELETE"]),
        Route("/v1/channels/{channel}/decisions/{key:any}", holds.decide, methods=["POST"]),
    ]
    if settings.webhook:
        routes.append(Route("/cinnox/webhook", Webhook(producer, settings.webhook).respond, methods=["POST"]))
    if site is not None:
        routes += site.routes()
    handlers = {ClientDisconnect: _gone, HTTPException: problems.of_routing, Exception: problems.of_defect}
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    # A redirect would repeat a signed address to any caller, and the chat platform follows none.
    app.router.redirect_slashes = False
    return app


async def check_app(settings: CallbackSettings) -> None:
    """Raises SettingsError for anything that would prevent the app's start, and leaves nothing behind."""
    make_app(settings)
    if settings.moderation is not None:
        async with _pool(settings.moderation, 1) as pool:
            pool.chain(make_policies(settings.moderation))
        spool = await _open_spool(settings.moderation)
        await spool.aclose()


async def _open_spool(settings: ModerationSettings) -> Spool:
    try:
        return await Spool.open(settings.spool_dir)
    except OSError as error:
        raise SettingsError("PUSHLANE_MODERATION__SPOOL_DIR", str(error)) from None


def _pool(settings: ModerationSettings, size: int) -> PolicyPool:
    return PolicyPool([one.policy for one in settings.policies if one.policy not in BUILT_IN], settings.routing, size)


def _route(settings: ModerationSettings, pool: PolicyPool) -> Router | None:
    if settings.routing is not None:
        return pool.route
    if settings.relay_channel is None or settings.relay_room is None:
        return None
    route = routing.by_template(settings.relay_channel, settings.relay_room)

    async def by_template(message: ChatMessage, _until: float) -> routing.Target | None:
        return routing.target_of(route(message))

    return by_template


async def _moderate(request: Request) -> Response:
    moderation: Moderation = request.app.state.moderation
    return await moderation.respond(request)


async def _gone(_request: Request, _error: Exception) -> Response:
    """The peer has left in the middle of its request: nobody reads this."""
    return Response(status_code=GONE)


async def _healthz(_request: Request) -> Response:
    """The process answers."""
    return json_response({"status": "ok"})
