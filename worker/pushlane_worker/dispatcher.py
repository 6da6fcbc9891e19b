"""The dispatcher: in every worker, turns doorbells into drain tasks and sweeps each channel about once a second.

A Celery bootstep with a thread, an asyncio loop and a Redis client of its own, started after the pool. Of a fleet's
dispatchers any one takes a ring, and any one sweeps a channel (``lua/sweep.lua`` sees to that): there is no beat and no
single point of failure. A ring whose task could not be published is not repeated here; it lapses, and a sweep rings
again. But when the broker is out of memory the dispatcher has its own process drain: what frees the memory must not
wait for a wake-up that needs some.
"""

import asyncio
import contextlib
import random
import secrets
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from celery import bootsteps
from redis.exceptions import OutOfMemoryError

from pushlane import backlog
from pushlane.async_outbox import AsyncProducer
from pushlane.errors import PushlaneError
from pushlane.health import Watch
from pushlane_worker.drain import log_dead_letters
from pushlane_worker.line import Line, channel_records, make_line
from pushlane_worker.outcome import Outcome, PushResult
from pushlane_worker.retry import next_step
from pushlane_worker.settings import Settings, load_settings
from pushlane_worker.store import ONLY_SETTLE, UNANSWERED, Claim, Settled, Settlement, Store, Turns
from pushlane_worker.telemetry import logger

SWEEP_EACH_S = 0.95
SWEEP_JITTER_S = 0.1
TOKEN_EACH_S = 1.0
BELL_TIMEOUT_S = 1.0
REFEED_EACH_S = 2.0
PAUSE_AFTER_ERROR_S = 0.5
JOIN_S = 5.0
DRAIN = "pushlane.drain"

OnQueue = Callable[[str, str], None]

LOST = PushResult(Outcome.UNKNOWN, "its lease ran out: the worker died, froze, or lost Redis for too long")


class Dispatcher:
    """Listens to the bell and sweeps, until stopped.

    Args:
        settings: The worker's settings; it sweeps and registers their channels.
        publish: Publishes a drain of a channel to a Celery queue; may raise.
        drain: Drains a channel in this process, if it consumes that queue; returns after a slice at the latest.
    """

    def __init__(self, settings: Settings, publish: OnQueue, drain: OnQueue) -> None:
        self._settings = settings
        self._ends = False
        self._publish = publish
        self._drain = drain
        self._store = Store.connect(settings.redis_url, channel_records(settings))
        self._producer = AsyncProducer(settings.redis_url)
        self._watch = Watch(self._store.redis)
        self._queues = {name: channel.queue for name, channel in settings.channels.items()}
        self._lines = {
            name: make_line(name, channel, settings.push_deadline_s) for name, channel in settings.channels.items()
        }

    async def run(self) -> None:
        """Runs until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep("bell", self._answer_bell))
                group.create_task(self._keep("decisions", self._refeed))
                group.create_task(self._keep("health", self._watch.step))
                for name in self._settings.channels:
                    group.create_task(self._keep_registered(name))
                    group.create_task(self._keep_swept(name))
                try:
                    await asyncio.Event().wait()
                finally:
                    # redis-py's sending is in asyncio.wait_for, which in Python 3.11 swallows a cancellation that comes
                    # as it ends: such a task must find its end by itself.
                    self._ends = True
        finally:
            await self._producer.aclose()
            await self._store.aclose()

    async def _keep_registered(self, channel: str) -> None:
        """Beside the sweeps, which must not wait for it: they bring what makes room again."""
        await self._register(channel)
        await self._keep("token", lambda: self._look_at_token(channel))

    async def _keep_swept(self, channel: str) -> None:
        turns = Turns(self._store, channel, self._settings.lease_s, number=1)  # turn 0 would answer a ring
        await self._keep("sweep", lambda: self._sweep(channel, turns))

    async def _keep(self, what: str, step: Callable[[], Coroutine[Any, Any, object]]) -> None:
        while not self._ends:
            await self._once(what, step)

    async def _once(self, what: str, step: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """One step that ends well, however often Redis fails meanwhile."""
        while not self._ends:
            try:
                await step()
            except (*UNANSWERED, PushlaneError) as error:
                logger().warning(f"dispatcher.{what}_failed", problem=str(error) or type(error).__name__)
            except Exception:  # noqa: BLE001 # without its dispatcher a worker looks well and does nothing
                logger().exception(f"dispatcher.{what}_broken")
            else:
                return
            await asyncio.sleep(PAUSE_AFTER_ERROR_S)

    async def _register(self, channel: str) -> None:
        await self._once("register", lambda: self._store.register(channel))

    async def _look_at_token(self, channel: str) -> None:
        await asyncio.sleep(TOKEN_EACH_S)
        if await asyncio.to_thread(self._lines[channel].renewed):
            await self._register(channel)  # a gate that broke for the old token probes at once

    async def _refeed(self) -> None:
        """Does what moderation decided and its callback did not get done."""
        if not await backlog.refeed(self._store.redis, self._producer, self._settings.retention_s):
            await asyncio.sleep(REFEED_EACH_S)

    async def _answer_bell(self) -> None:
        channel = await self._store.bell(BELL_TIMEOUT_S)
        if channel is None:
            return
        queue = self._queues.get(channel) or await self._store.queue_of(channel)
        if queue is None:
            return
        try:
            await asyncio.to_thread(self._publish, channel, queue)
        except Exception as error:  # noqa: BLE001 # whatever the broker's library raises: the ring lapses
            logger().warning("dispatcher.publish_failed", channel=channel, problem=str(error) or type(error).__name__)
            if isinstance(error.__cause__, OutOfMemoryError) and channel in self._queues:
                await asyncio.to_thread(self._drain, channel, queue)

    async def _sweep(self, channel: str, turns: Turns) -> None:
        more, expired = await self._store.sweep(channel)
        if expired:
            lost = [self._lose(claim, self._lines[channel]) for claim in expired]
            turn = await turns.take(ONLY_SETTLE, 0, lost)
            for settlement, settled in zip(lost, turn.settled, strict=True):
                if settled is Settled.CURRENT:
                    log_dead_letters(channel, settlement)
            logger().warning("lease.expired", channel=channel, conversations=len(expired))
        if not more:
            # Spread over the fleet; nothing secret depends on it.
            await asyncio.sleep(SWEEP_EACH_S + SWEEP_JITTER_S * random.random())  # noqa: S311

    @staticmethod
    def _lose(claim: Claim, line: Line) -> Settlement:
        # The jitter only spreads retries.
        return Settlement(claim, LOST, next_step(LOST, claim.history(), line.policy, random.random()), lost=True)  # noqa: S311


class DispatcherStep(bootsteps.StartStopStep):  # type: ignore[misc] # celery has no types
    """Starts the dispatcher in a worker once its pool stands, and stops it first."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **_: object) -> None:  # noqa: ANN401 # celery has no types
        super().__init__(worker)
        self._loop = asyncio.new_event_loop()
        self._running: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="pushlane-dispatcher", daemon=True)

    def start(self, worker: Any) -> None:  # noqa: ANN401 # celery's signature
        """Starts the thread."""

        def publish(channel: str, queue: str) -> None:
            task_id = f"{channel}-{secrets.token_hex(6)}"  # monitors list it: so the channel is seen at a glance
            worker.app.send_task(DRAIN, args=(channel,), queue=queue, task_id=task_id)

        def drain(channel: str, queue: str) -> None:
            if queue in worker.app.amqp.queues.consume_from:
                worker.app.tasks[DRAIN].run_drain(channel, done=lambda _: None)

        # Made here, so that a wrong setting ends the start and not a thread.
        self._dispatcher = Dispatcher(load_settings(), publish, drain)
        self._thread.start()

    def stop(self, worker: Any) -> None:  # noqa: ARG002, ANN401 # celery's signature
        """Stops the thread, also when it never started."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._cancel)
            self._thread.join(JOIN_S)

    terminate = stop

    def _cancel(self) -> None:
        if self._running is not None:
            self._running.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._running = self._loop.create_task(self._dispatcher.run())
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._running)
        self._loop.close()
