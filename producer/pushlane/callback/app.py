"""The ASGI app: routes, what they need for as long as the process lives, and the access log."""

from __future__ import annotations

import contextlib
import gc
import time
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from pushlane.callback import routing
from pushlane.callback.feed import Feed
from pushlane.callback.holds import Holds
from pushlane.callback.moderation import Moderation
from pushlane.callback.policies import load_routing, make_policies
from pushlane.callback.settings import CallbackSettings, load_callback_settings
from pushlane.callback.spool import Spool
from pushlane.callback.web import ApiKeys, json_response
from pushlane.callback.webhook import Webhook
from pushlane.errors import SettingsError
from pushlane.logs import configure, logger
from pushlane.outbox import AsyncProducer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from pushlane.callback.chat_message import ChatMessage
    from pushlane.callback.settings import ModerationSettings

CALLBACK_PATH: Final = "/tencent/callback"
MAX_LOGGED_PATH_BYTES: Final = 500


def create_app() -> ASGIApp:
    """The app with the settings of this process: what uvicorn's workers call. Raises SettingsError."""
    settings = load_callback_settings()
    configure(settings.log_format, settings.log_level)
    app = AccessLog(Direct(make_app(settings)))
    # What stands now stands for ever: a full collection would stop for 100 ms to find that out, again and again.
    gc.collect()
    gc.freeze()
    return app


def make_app(settings: CallbackSettings) -> Starlette:
    """The app with these settings. Raises SettingsError for a policy, words or a routing that can not be loaded."""
    moderation = settings.moderation
    policies = make_policies(moderation) if moderation else ()
    route = _route(moderation) if moderation else None
    keys = ApiKeys(
        {name: service.read_key() for name, service in settings.api_keys.items()},
        {name: service.channels for name, service in settings.api_keys.items()},
    )

    tokens = {name: webhook.read_tokens() for name, webhook in settings.webhook.items()}

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            producer = await stack.enter_async_context(AsyncProducer(settings.redis_url))
            app.state.holds = Holds(producer, keys)
            app.state.producer = producer
            app.state.webhook = Webhook(producer, settings.webhook, tokens)
            if moderation is not None:
                feed = Feed(settings.redis_url, settings.retention_s, await _open_spool(moderation))
                feed.start()
                stack.push_async_callback(feed.aclose)
                app.state.feed = feed
                app.state.moderation = Moderation(moderation, moderation.read_tokens(), policies, feed, route)
                stack.callback(app.state.moderation.close)
            yield

    routes = [
        Route("/healthz", _healthz),
        Route("/readyz", _readyz),
        Route("/v1/channels/{channel}/decisions/{key:path}", _decide, methods=["POST"]),
    ]
    if settings.webhook:
        routes.append(Route("/cinnox/webhook", _take, methods=["POST"]))
    if moderation is not None:
        routes.append(Route(CALLBACK_PATH, _moderate, methods=["POST"]))
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={ClientDisconnect: _gone})
    # A redirect would repeat a signed address to whoever asks, and the chat platform follows none.
    app.router.redirect_slashes = False
    return app


async def check_app(settings: CallbackSettings) -> None:
    """Raises SettingsError for what would keep the app from its start, and leaves nothing behind."""
    make_app(settings)
    try:
        await AsyncProducer(settings.redis_url).aclose()
    except ValueError:
        problem = "must be an address like redis://localhost:6379/0"
        raise SettingsError("PUSHLANE_REDIS_URL", problem) from None
    if settings.moderation is not None:
        spool = await _open_spool(settings.moderation)
        await spool.aclose()


async def _open_spool(settings: ModerationSettings) -> Spool:
    try:
        return await Spool.open(settings.spool_dir)
    except OSError as error:
        raise SettingsError("PUSHLANE_MODERATION__SPOOL_DIR", str(error)) from None


def _route(settings: ModerationSettings) -> Callable[[ChatMessage], routing.Route | None] | None:
    if settings.routing is not None:
        return load_routing(settings.routing)
    if settings.relay_channel is not None and settings.relay_room is not None:
        return routing.by_template(settings.relay_channel, settings.relay_room)
    return None


async def _moderate(request: Request) -> Response:
    moderation: Moderation = request.app.state.moderation
    return await moderation.respond(request)


async def _take(request: Request) -> Response:
    webhook: Webhook = request.app.state.webhook
    return await webhook.respond(request)


async def _decide(request: Request) -> Response:
    holds: Holds = request.app.state.holds
    return await holds.decide(request)


async def _gone(_request: Request, _error: Exception) -> Response:
    """The peer has left in the middle of its request: nobody reads this."""
    return Response(status_code=400)


async def _healthz(_request: Request) -> Response:
    """The process answers."""
    return json_response({"status": "ok"})


async def _readyz(request: Request) -> Response:
    """Redis answers as well. Without it moderation goes on, but nothing can be enqueued."""
    producer: AsyncProducer = request.app.state.producer
    ready = await producer.ping()
    return json_response({"status": "ok" if ready else "redis is away"}, 200 if ready else 503)


class Direct:
    """The app, with a short cut to its one busy route: Starlette's layers take a quarter of such a request's time."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request."""
        moderation: Moderation | None = getattr(self._app.state, "moderation", None)
        if moderation is None or scope.get("path") != CALLBACK_PATH or scope.get("method") != "POST":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await moderation.respond(request)
        except ClientDisconnect as error:
            response = await _gone(request, error)
        await response(scope, receive, send)


class AccessLog:
    """One line a request: method, path, status, ms. Neither its query, which holds a signature, nor its body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = logger().bind()  # once: making one takes longer than the line

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request and tells of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            took_ms = round((time.perf_counter() - started) * 1000, 1)
            self._log.info("request", method=scope["method"], path=_path(scope), status=status, ms=took_ms)


def _path(scope: Scope) -> str:
    """As it came, so that no escape of it becomes a line break or steers a terminal; and not all of a long one."""
    raw: bytes = scope["raw_path"]
    return raw[:MAX_LOGGED_PATH_BYTES].decode("ascii", errors="replace")
