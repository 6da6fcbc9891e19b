"""``POST /tencent/callback``: may this message pass? Answered in time, whatever is broken behind it.

An authenticated request always gets HTTP 200 with one of the documented shapes: Tencent treats anything else as our
failure, and delivers. The order is check, judge, record, answer; a decision's effects come after that.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from pushlane import tracing
from pushlane.callback import routing
from pushlane.callback.decisions.decision import Decision
from pushlane.callback.decisions.recorder import RECORD_S
from pushlane.callback.failures import log_failure
from pushlane.callback.http.web import RECEIVE_S, BodyRefused, is_within, read_body, source_address
from pushlane.callback.moderation.chain import CHAIN, Chain
from pushlane.callback.tencent import answer
from pushlane.callback.tencent.question import MODERATED, NothingToJudge, Unreadable, WrongCommand, parse
from pushlane.callback.tencent.signature import Query, check_query
from pushlane.callback.verdict import Verdict
from pushlane.errors import InvalidMessage
from pushlane.service.logs import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from starlette.requests import Request

    from pushlane.callback.chat_message import ChatMessage
    from pushlane.callback.decisions.feed import Feed
    from pushlane.callback.moderation.chain import Elsewhere, Judgement
    from pushlane.callback.policy import Policy
    from pushlane.callback.routing import Target
    from pushlane.callback.settings import ModerationSettings
    from pushlane.service.effects import Effect

    Router = Callable[[ChatMessage, float], Awaitable[Target | None]]
    """Where a message goes; to be answered by a time of the monotonic clock."""

RESERVE_S: Final = RECORD_S + 0.1
"""What the policies leave of the deadline: for Redis or, if that is unreachable, for the disk."""
CLOSE_S: Final = 2.0
LARGE_BYTES: Final = 32 * 1024
"""Messages have 12 KB: a larger body is a stream's, or an attempt to keep us busy for 30 ms."""


class Moderation:
    """Answers the callback. Belongs to one event loop."""

    def __init__(
        self,
        settings: ModerationSettings,
        tokens: Sequence[str],
        policies: Sequence[Policy | Elsewhere],
        feed: Feed,
        route: Router | None,
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._feed = feed
        self._route = route
        self._on_error = Verdict(settings.on_error)
        self._chain = Chain(policies, max(settings.deadline_s - RESERVE_S, 0.05), self._on_error, self._note_late)
        self._apart: set[asyncio.Task[Verdict]] = set()
        self._large = asyncio.Lock()

    async def aclose(self) -> None:
        """Gives up on policies that have not answered; late judgements are still recorded."""
        self._chain.close()
        if self._apart:
            await asyncio.wait(self._apart, timeout=CLOSE_S)

    async def respond(self, request: Request) -> Response:
        """The answer to one request."""
        started = time.monotonic()
        query = self._check(request)
        if query is None:
            return Response(status_code=401)
        if query.command not in MODERATED:
            return _json(answer.ALLOWED)
        try:
            return await self._moderate(request, query, started)
        except (ClientDisconnect, KeyboardInterrupt):
            raise
        # A bug of ours, or a cancellation by other people's code or by a server that stops: without an answer,
        # messages that on_error forbids would pass.
        except BaseException as error:  # noqa: BLE001 # as said above
            log_failure("callback.failed", error, command=query.command)
            return _json(self._answer(self._on_error, query.command))

    async def _moderate(self, request: Request, query: Query, started: float) -> Response:
        try:
            body = await read_body(request, within_s=min(RECEIVE_S, self._settings.deadline_s - RESERVE_S))
        except BodyRefused as error:
            return self._unreadable(query, str(error), error.headers)
        if len(body) > LARGE_BYTES:
            async with self._large:  # between two of these, other requests are answered
                await asyncio.sleep(0)
        message = parse(body, query)
        match message:
            case WrongCommand():
                logger().warning("callback.refused", reason="command", command=message.command)
                return Response(status_code=401)
            case NothingToJudge():
                return _json(answer.ALLOWED)
            case Unreadable(hides=True):
                return await self._forbid_unread(body, query, message.reason, started)
            case Unreadable():
                return self._unreadable(query, message.reason)
        # The chain's own deadline is a little earlier, unless the body was slow to arrive.
        until = started + self._settings.deadline_s - RECORD_S
        judgement = await self._chain.judge(message, within_s=until - time.monotonic())
        verdict, decision = judgement.verdict, None
        try:
            took_ms = round((time.monotonic() - started) * 1000)
            decision = Decision.of(message, verdict, at_ms=round(time.time() * 1000), took_ms=took_ms)
            decision.effects = await self._effects(judgement, decision.key, until)
            verdict = await self._feed.record(decision, until=started + self._settings.deadline_s)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 # as in respond(), but the judgement still applies
            log_failure("decision.failed", error, key=message.key)
            if decision is not None and isinstance(error, asyncio.CancelledError):
                self._record_apart(decision)
        return _json(self._answer(verdict, message.command))

    def _check(self, request: Request) -> Query | None:
        settings, reason = self._settings, "network"
        networks, proxies = settings.source_networks, settings.trusted_proxies
        if not networks or is_within(source_address(request, proxies), networks):
            raw: bytes = request.scope["query_string"]
            query = check_query(raw, sdk_app_ids=settings.sdk_app_ids, tokens=self._tokens, now=time.time())
            if isinstance(query, Query):
                return query
            reason = query
        logger().warning("callback.refused", reason=reason, address=source_address(request, proxies))
        return None

    def _unreadable(self, query: Query, reason: str, headers: Mapping[str, str] | None = None) -> Response:
        logger().warning("callback.unreadable", command=query.command, reason=reason)
        return _json(self._answer(self._on_error, query.command), headers)

    async def _forbid_unread(self, body: bytes, query: Query, reason: str, started: float) -> Response:
        """The answer to a body that its sender has made unreadable: no policy can tell that it is clean."""
        logger().warning("callback.unreadable", command=query.command, reason=reason)
        verdict = Verdict("forbid", reason=f"it {reason}", policy=CHAIN)
        at_ms, took_ms = round(time.time() * 1000), round((time.monotonic() - started) * 1000)
        decision = Decision.unread(body, query.command, query.sdk_app_id, verdict, at_ms=at_ms, took_ms=took_ms)
        try:
            verdict = await self._feed.record(decision, until=started + self._settings.deadline_s)
        except Exception as error:  # noqa: BLE001 # as in _moderate(); it stays forbidden
            log_failure("decision.failed", error)
        return _json(self._answer(verdict, query.command))

    def _answer(self, verdict: Verdict, command: str) -> bytes:
        tracing.note({"pushlane.verdict": verdict.kind, "pushlane.policy": verdict.policy})
        try:
            return answer.answer(verdict, command)
        except ValueError as error:  # another version recorded it for the same message
            logger().error("callback.bad_record", policy=verdict.policy, problem=str(error))
            return answer.answer(self._on_error, command)

    async def _effects(self, judgement: Judgement, key: str, until: float) -> Sequence[Effect]:
        verdict, message = judgement
        todo: list[Effect] = []
        if (channel := self._settings.relay_channel) is not None:
            todo.append(routing.decide(message, verdict, channel))
        if self._route is None or not routing.is_relayed(message, verdict):
            return todo
        try:
            if (target := await self._route(message, until)) is not None:
                todo.append(routing.relay(target, key))
        except InvalidMessage as error:
            logger().error("relay.impossible", decision=key, problem=str(error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 # whatever an operator's own routing raises
            log_failure("routing.failed", error, decision=key)
        return todo

    def _note_late(self, message: ChatMessage, judgement: Judgement) -> None:
        decision = Decision.of(message, judgement.verdict, at_ms=round(time.time() * 1000), took_ms=0)
        self._record_apart(decision.as_late())

    def _record_apart(self, decision: Decision) -> None:
        """Records it in a separate task that nobody waits for."""
        task = asyncio.get_running_loop().create_task(self._feed.record(decision))
        self._apart.add(task)
        task.add_done_callback(self._apart.discard)


def _json(body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, headers=headers, media_type="application/json")
