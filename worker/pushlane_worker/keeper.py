"""Steps that go on whatever Redis does: without its dispatcher a worker looks well and does nothing."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from pushlane.errors import PushlaneError
from pushlane_worker.store import UNANSWERED, fails_of_itself
from pushlane_worker.telemetry import logger

PAUSE_AFTER_ERROR_S = 0.5

Step = Callable[[], Coroutine[Any, Any, object]]


class Keeper:
    """Runs steps until ``ended`` is set.

    A task that is cancelled needs that, too: redis-py's sending is in asyncio.wait_for, which in Python 3.11 swallows a
    cancellation that comes as it ends.
    """

    ended = False

    def __init__(self) -> None:
        self._failing: set[str] = set()

    async def keep(self, what: str, step: Step) -> None:
        """One step after the other."""
        while not self.ended:
            await self.once(what, step)

    async def once(self, what: str, step: Step) -> None:
        """One step that ends well, however often it has to be tried."""
        while not self.ended:
            if await self.tried(what, step):
                return
            await asyncio.sleep(PAUSE_AFTER_ERROR_S)

    async def tried(self, what: str, step: Step) -> bool:
        """Whether one step ended well; what it raised is logged.

        Of an outage, in which every step fails again and again, the first failure is logged and the end.
        """
        try:
            await step()
        except (*UNANSWERED, PushlaneError) as error:
            problem = str(error) or type(error).__name__
            if fails_of_itself(error):
                logger().warning(f"dispatcher.{what}_failed", problem=problem)
                return False
            if not self._failing:
                logger().warning("redis.away", step=what, problem=problem)
            self._failing.add(what)
        except Exception:  # noqa: BLE001 # a defect of ours, which the next try may not meet
            logger().exception(f"dispatcher.{what}_broken")
        else:
            if what in self._failing:
                self._failing.discard(what)
                if not self._failing:
                    logger().info("redis.back")
            return True
        return False
