"""Whether the callback's Redis is reachable and fit: for ``/readyz``, and logged once a minute."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pushlane.callback.http.web import json_response
from pushlane.clients import connect_async
from pushlane.cluster.nonblocking import AsyncCluster
from pushlane.connections import UNANSWERED
from pushlane.service.logs import logger
from pushlane.service.redis_requirements import SECTIONS, Watch, read_info, server_problem

if TYPE_CHECKING:
    from typing import NoReturn

    from starlette.requests import Request
    from starlette.responses import Response

TIMEOUT_S: Final = 2.0


class Readiness:
    """``/readyz``. Belongs to one event loop.

    Moderation goes on without Redis. If a balancer took the process out for a 503, the platform would deliver messages
    without a judgement, so with ``moderates`` the status stays 200.
    """

    def __init__(self, redis_url: str, *, moderates: bool) -> None:
        self._moderates = moderates
        self._redis = connect_async(redis_url, timeout=TIMEOUT_S, connect_timeout=TIMEOUT_S)
        self._watch = Watch(self._redis)
        self._away = False

    async def respond(self, _request: Request) -> Response:
        """200 if Redis answers and accepts writes: otherwise nothing can be enqueued."""
        problem = await self.problem()
        return json_response({"status": problem or "ok"}, 200 if problem is None or self._moderates else 503)

    async def problem(self) -> str | None:
        """Why nothing can be enqueued now; None if that is possible. Takes at most ``TIMEOUT_S``."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                infos = await read_info(self._redis, *SECTIONS)
        except UNANSWERED:
            return "redis is away"
        of_cluster = isinstance(self._redis, AsyncCluster)
        problems = (server_problem(info, of_cluster=of_cluster) for info in infos)
        return next((f"redis {problem}" for problem in problems if problem), None)

    async def watch(self) -> NoReturn:
        """Watches until it is cancelled; logs an outage once, also if there are no requests."""
        while True:
            self._tell(await self._outage())
            await self._watch.step()

    async def _outage(self) -> str:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await read_info(self._redis, *SECTIONS)
        except UNANSWERED as error:
            return str(error) or type(error).__name__
        return ""

    def _tell(self, problem: str) -> None:
        if problem and not self._away:
            logger().warning("redis.away", problem=problem)
        elif self._away and not problem:
            logger().info("redis.back")
        self._away = bool(problem)

    async def aclose(self) -> None:
        """Closes its connections."""
        await self._redis.aclose()
