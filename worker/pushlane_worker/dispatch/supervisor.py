"""Keeps steps running whatever Redis does: a worker without its dispatcher looks healthy but does nothing."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from pushlane.connections import UNANSWERED
from pushlane.errors import NewerChannel, PushlaneError
from pushlane_worker.queue.store import is_script_error
from pushlane_worker.telemetry import logger

PAUSE_AFTER_ERROR_S = 0.5
STUCK_S = 180.0
"""No step takes that long: while Redis is away each one fails within seconds, and is then tried again."""

Step = Callable[[], Coroutine[Any, Any, object]]


class Supervisor:
    """Runs steps until ``ended`` is set.

    Cancelling a task is not enough: redis-py sends inside asyncio.wait_for, which in Python 3.11 swallows a
    cancellation that arrives just as it ends.
    """

    ended = False

    def __init__(self) -> None:
        self._failing: set[str] = set()
        self._trying_since: dict[Step, float] = {}
        self._newer: set[str] = set()

    async def keep(self, what: str, step: Step) -> None:
        """Runs the step again and again."""
        while not self.ended:
            await self.once(what, step)

    async def once(self, what: str, step: Step) -> None:
        """Repeats the step until it succeeds once."""
        while not self.ended:
            self._trying_since[step] = time.monotonic()
            try:
                if await self.tried(what, step):
                    return
            finally:
                del self._trying_since[step]
            await asyncio.sleep(PAUSE_AFTER_ERROR_S)

    def is_stuck(self) -> bool:
        """Whether a step that must go on has neither succeeded nor failed for too long."""
        return any(time.monotonic() - since > STUCK_S for since in self._trying_since.values())

    async def tried(self, what: str, step: Step) -> bool:
        """Whether the step succeeded, or has nothing to do; errors are logged.

        During an outage every step keeps failing: only the first failure and the recovery are logged. A channel of a
        newer release is left to its workers, and logged once.
        """
        try:
            await self._unless_newer(step)
        except (*UNANSWERED, PushlaneError) as error:
            problem = str(error) or type(error).__name__
            if is_script_error(error):
                logger().warning(f"dispatcher.{what}_failed", problem=problem)
                return False
            if not self._failing:
                logger().warning("redis.away", step=what, problem=problem)
            self._failing.add(what)
        except Exception:  # noqa: BLE001 # a bug of ours, which the next try may not hit
            logger().exception(f"dispatcher.{what}_broken")
        else:
            if what in self._failing:
                self._failing.discard(what)
                if not self._failing:
                    logger().info("redis.back")
            return True
        return False

    async def _unless_newer(self, step: Step) -> None:
        try:
            await step()
        except NewerChannel as error:
            if error.channel not in self._newer:
                self._newer.add(error.channel)
                logger().warning("channel.newer_version", channel=error.channel, problem=str(error))
