"""From a decision to the queue: records it, applies its effects and acknowledges; spools while Redis is unreachable.

Recording comes before the answer, so that a repeated request gets the first answer. The effects come after it, in the
order of the decisions: what this process does not get done, it catches up on later, or a worker does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

from pushlane.async_producer import AsyncProducer
from pushlane.callback.cancelling import cancel_and_wait
from pushlane.callback.decisions.decision import Decision
from pushlane.callback.decisions.recorder import RECORD_S, Recorder
from pushlane.callback.decisions.spool import SpoolFull
from pushlane.callback.failures import log_failure
from pushlane.clients import connect_async
from pushlane.connections import UNANSWERED
from pushlane.errors import PushlaneError
from pushlane.service import retry_effects
from pushlane.service.logs import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushlane.callback.decisions.spool import Spool
    from pushlane.callback.verdict import Verdict

AWAY_S: Final = 1.0
"""After a failure, Redis is left alone for this long, so that not every request has to run into it."""
MAX_WAITING: Final = 1000
"""Decisions whose effects may wait in this process; it reads further ones from Redis once these are done."""
APPLY_AT_ONCE: Final = 100
LEAST_SPOOL_S: Final = 0.05
"""Time allowed for the disk even if the request has no time left."""
REFEED_EACH_S: Final = 0.5
REFEED_AT_ONCE: Final = 100
REFEED_S: Final = 2.0
"""How long one call with spooled decisions may take: nobody waits for it, and they may be large."""
CLOSE_S: Final = 2.0
_ADOPTING: Final = ("spool.adopt_waits", "spool.adopt_broken", "spool.adopt_resumed")
_REFEEDING: Final = ("spool.refeed_waits", "spool.refeed_broken", "spool.refeed_resumed")


class Feed:
    """Feeds decisions into the queue. Belongs to one event loop."""

    def __init__(self, redis_url: str, retention_s: float, spool: Spool) -> None:
        self._redis = connect_async(redis_url, timeout=2.0, connect_timeout=RECORD_S)
        self._recorder = Recorder(self._redis, retention_s)
        self._producer = AsyncProducer(redis_url)
        self._spool = spool
        self._away_until = 0.0
        self._waiting: asyncio.Queue[Decision] = asyncio.Queue(MAX_WAITING)
        self._tasks: list[asyncio.Task[None]] = []
        self._spooling: set[asyncio.Task[None]] = set()
        self._left_out = 0
        self._troubles: set[str] = set()
        self._behind = False
        self.lost = 0
        """Decisions that neither Redis nor the disk accepted."""

    @property
    def spooled(self) -> tuple[int, int]:
        """The bytes and the number of the decisions that wait on this process's disk."""
        return self._spool.left

    def start(self) -> None:
        """Starts to apply effects, and to feed what is on disk."""
        self._tasks = [asyncio.create_task(self._apply_all()), asyncio.create_task(self._feed_spools())]

    async def aclose(self) -> None:
        """Spends a moment applying what waits, then closes; workers do the rest."""
        if self._spooling:
            await asyncio.wait(self._spooling, timeout=CLOSE_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._waiting.join(), CLOSE_S)
        await cancel_and_wait(*self._tasks)
        await self._recorder.aclose()
        await self._spool.aclose()
        await self._producer.aclose()
        await self._redis.aclose()

    async def record(self, decision: Decision, *, until: float | None = None) -> Verdict:
        """Records the decision, and returns the verdict that its request gets: an earlier one takes precedence.

        A disk that is not done ``until`` then, by ``time.monotonic``, finishes in the background.
        """
        # New decisions go behind old ones: while something waits on disk, everything goes there.
        if self._spool.empty and time.monotonic() >= self._away_until:
            try:
                earlier = await self._recorder.record(decision)
            except UNANSWERED as error:
                if time.monotonic() >= self._away_until:  # once per batch, not per decision
                    logger().warning("decision.redis_away", problem=str(error) or type(error).__name__)
                self._away_until = time.monotonic() + AWAY_S
            except Exception as error:  # noqa: BLE001 # whatever happens, the request must be answered
                log_failure("decision.broken", error, key=decision.key)
            else:
                if earlier is not None:
                    # Perhaps by this very call, whose first reply was lost: then nobody has applied its effects yet.
                    self._behind = self._behind or bool(decision.effects)
                    return earlier
                self._queue(decision)
                return decision.verdict
        await self._keep(decision, until)
        return decision.verdict

    async def _keep(self, decision: Decision, until: float | None) -> None:
        # A separate task: neither the timeout nor the end of the request cancels it.
        kept = asyncio.create_task(self._append(decision))
        self._spooling.add(kept)
        kept.add_done_callback(self._spooling.discard)
        left_s = None if until is None else max(until - time.monotonic(), LEAST_SPOOL_S)
        await asyncio.wait([kept], timeout=left_s)
        if not kept.done():
            logger().warning("decision.disk_is_slow", key=decision.key)

    async def _append(self, decision: Decision) -> None:
        try:
            await self._spool.append(decision.document())
        except (OSError, SpoolFull, TypeError, ValueError) as error:
            self.lost += 1
            problem = str(error) if isinstance(error, OSError | SpoolFull) else type(error).__name__
            logger().error("decision.lost", key=decision.key, verdict=decision.verdict.kind, problem=problem)

    def _queue(self, decision: Decision) -> None:
        if decision.effects:
            try:
                self._waiting.put_nowait(decision)
            except asyncio.QueueFull:
                self._behind = True

    async def _apply_all(self) -> None:
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < APPLY_AT_ONCE and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            try:
                if self._behind:
                    await self._catch_up()
                else:
                    await retry_effects.feed(self._redis, self._producer, {one.key: one.effects for one in batch})
            except (*UNANSWERED, PushlaneError) as error:
                self._behind = True
                logger().warning("effects.postponed", count=len(batch), problem=str(error) or type(error).__name__)
            except Exception as error:  # noqa: BLE001 # one decision must not stop the feed of all others
                self._behind = True
                log_failure("effects.broken", error)
            finally:
                for _ in batch:
                    self._waiting.task_done()

    async def _catch_up(self) -> None:
        """Applies all that is recorded, in order: what is in this process's memory must not overtake the rest."""
        self._behind = False  # before that: a decision that finds no room in the meantime requires another round
        while await retry_effects.feed_recorded(self._redis, self._producer):
            pass

    async def _feed_spools(self) -> None:
        while True:
            await asyncio.sleep(REFEED_EACH_S)
            await self._try(_ADOPTING, self._spool.adopt)  # a file that cannot be opened must not stop the others
            while not self._spool.empty and await self._try(_REFEEDING, self._feed_spool):
                pass
            if self._spool.left_out > self._left_out:
                logger().error("spool.damaged", bytes=self._spool.left_out - self._left_out)
                self._left_out = self._spool.left_out

    async def _try(self, events: tuple[str, str, str], step: Callable[[], Awaitable[None]]) -> bool:
        """Whether it succeeded. A trouble is logged when it begins and when it is over, not at each try."""
        waits, broken, resumed = events
        try:
            await step()
        except UNANSWERED as error:
            if self._is_new(waits):
                logger().warning(waits, problem=str(error) or type(error).__name__)
        except Exception as error:  # noqa: BLE001 # one decision must not stop the feed of all others
            if self._is_new(broken):
                log_failure(broken, error)
        else:
            if self._troubles & {waits, broken}:
                logger().info(resumed)
            self._troubles -= {waits, broken}
            return True
        return False

    def _is_new(self, trouble: str) -> bool:
        known = trouble in self._troubles
        self._troubles.add(trouble)
        return not known

    async def _feed_spool(self) -> None:
        payloads = await self._spool.read(REFEED_AT_ONCE)
        decisions, unreadable = [], []
        for payload in payloads:
            try:
                decisions.append(Decision.read(payload))
            except (ValueError, TypeError, KeyError) as error:  # another version wrote it
                unreadable.append(error)
        recorded = await self._recorder.record_all(decisions, within_s=REFEED_S) if decisions else []
        self._away_until = 0.0
        for one in unreadable:  # only now: while Redis is away, they are read at each try
            self.lost += 1
            log_failure("decision.unreadable", one)
        for decision, earlier in zip(decisions, recorded, strict=True):
            if earlier is None:
                self._queue(decision)
            elif decision.effects:  # perhaps a call whose reply was lost recorded it, and they are yet to be applied
                self._behind = True
        await self._spool.confirm(len(payloads))
