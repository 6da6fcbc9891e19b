"""The dispatcher runs in every worker, turns rings of the bell into drain tasks and keeps the sweeps going.

Any dispatcher of the fleet may take a ring or sweep a channel (``sweeper.py``), so there is no beat process and no
single point of failure. When a task cannot be published because the broker is away or out of memory, the dispatcher
drains in its own process: deliveries free memory, and go on while only the broker is away. A ring for a channel that it
may not drain itself lapses, and a sweep rings again.
"""

import asyncio
import secrets
from collections.abc import Callable, Collection
from functools import partial

from pushlane.async_producer import AsyncProducer
from pushlane.service import retry_effects
from pushlane.service.redis_requirements import Watch
from pushlane_worker.channels.channel import channel_records, make_channel
from pushlane_worker.dispatch.consumers import ANNOUNCED_EACH_S, announce
from pushlane_worker.dispatch.supervisor import Supervisor
from pushlane_worker.dispatch.sweeper import Sweeper
from pushlane_worker.heartbeat import BEAT_S, Heartbeat
from pushlane_worker.queue.store import Store
from pushlane_worker.settings import Settings
from pushlane_worker.telemetry import logger

TOKEN_EACH_S = 1.0
BELL_TIMEOUT_S = 1.0
PUBLISH_S = 1.0
"""A broker that hangs for longer counts as away."""
RETRIED_EACH_S = 2.0
REGISTERED_AT_ONCE = 8


class Dispatcher:
    """Listens to the bell and sweeps until stopped.

    Args:
        settings: The worker's settings; it sweeps and registers their channels.
        publish: Publishes a drain of a channel to a Celery queue; may raise or hang.
        drain: Drains a channel in this process; returns after a slice at the latest.
        consumed: The Celery queues that this worker consumes.
    """

    def __init__(
        self,
        settings: Settings,
        publish: Callable[[str, str], None],
        drain: Callable[[str], None],
        consumed: Callable[[], Collection[str]],
    ) -> None:
        self._settings = settings
        self._publish = publish
        self._drain = drain
        self._consumed = consumed
        self._name = secrets.token_hex(8)
        self._supervisor = Supervisor()
        self._store = Store.connect(settings.redis_url, channel_records(settings))
        self._producer = AsyncProducer(settings.redis_url)
        self._watch = Watch(self._store.redis)
        self._queues = {name: channel.queue for name, channel in settings.channels.items()}
        self._channels = {
            name: make_channel(name, channel, settings.push_deadline_s) for name, channel in settings.channels.items()
        }
        self._sweeper = Sweeper(self._store, self._channels, self._queues, settings.lease_s)
        self._registering = asyncio.Semaphore(REGISTERED_AT_ONCE)
        self._publishing: asyncio.Task[str] | None = None
        self._draining: asyncio.Future[None] | None = None
        self._broker_away = False

    async def run(self) -> None:
        """Runs until cancelled."""
        keep = self._supervisor.keep
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(keep("bell", self._answer_bell))
                group.create_task(keep("decisions", self._retry_effects))
                group.create_task(keep("health", self._watch.step))
                if self._settings.heartbeat_file:
                    group.create_task(keep("heartbeat", partial(self._beat, Heartbeat(self._settings.heartbeat_file))))
                # Concurrently with the sweeps, which must not wait for it: they make a full Redis usable again.
                for channel in self._settings.channels:
                    group.create_task(self._register(channel))
                group.create_task(self._announce_and_sweep())
                if token_files := [name for name, one in self._settings.channels.items() if one.token_file is not None]:
                    group.create_task(keep("token", partial(self._look_at_tokens, token_files)))
                try:
                    await asyncio.Event().wait()
                finally:
                    self._supervisor.ended = True
        finally:
            if self._draining is not None:
                self._draining.cancel()
            await self._producer.aclose()
            await self._store.aclose()

    async def _register(self, channel: str) -> None:
        async with self._registering:
            await self._supervisor.once("register", partial(self._store.register, channel))

    async def _announce_and_sweep(self) -> None:
        await self._supervisor.once("announce", self._announce)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._supervisor.keep("announce", self._announce_again))
            group.create_task(self._sweeper.run(self._supervisor))

    async def _announce(self) -> None:
        await announce(self._store.redis, self._name, self._consumed())

    async def _announce_again(self) -> None:
        await asyncio.sleep(ANNOUNCED_EACH_S)
        await self._announce()

    async def _look_at_tokens(self, channels: list[str]) -> None:
        await asyncio.sleep(TOKEN_EACH_S)
        for channel in await asyncio.to_thread(lambda: [name for name in channels if self._channels[name].renewed()]):
            # A gate that was broken by the old token probes at once.
            await self._supervisor.once("register", partial(self._store.register, channel))

    async def _beat(self, heartbeat: Heartbeat) -> None:
        if not self._supervisor.is_stuck():
            heartbeat.beat()
        await asyncio.sleep(BEAT_S)

    async def _retry_effects(self) -> None:
        """Applies effects that no callback has applied."""
        if not await retry_effects.retry_lanes(self._store.redis, self._producer, self._settings.retention_s):
            await asyncio.sleep(RETRIED_EACH_S)

    async def _answer_bell(self) -> None:
        if not await self._has_drained():
            return
        channel = await self._store.bell(BELL_TIMEOUT_S)
        if channel is None:
            return
        queue = self._queues.get(channel) or await self._store.queue_of(channel)
        if queue is None or await self._is_published(channel, queue):
            return
        if channel in self._queues and queue in self._consumed():
            self._draining = asyncio.get_running_loop().run_in_executor(None, self._drain, channel)

    async def _has_drained(self) -> bool:
        """Whether no drain runs in this process; waits for one, but not for long.

        Like every drain it waits for a Redis that is away, which must not look like a step that is stuck. No ring is
        taken meanwhile: others may be able to answer it.
        """
        if self._draining is None:
            return True
        await asyncio.wait({self._draining}, timeout=BELL_TIMEOUT_S)
        if not self._draining.done():
            return False
        drained, self._draining = self._draining, None
        drained.result()
        return True

    async def _is_published(self, channel: str, queue: str) -> bool:
        """Whether the broker has accepted the drain. While one publish hangs, no other is tried."""
        if self._publishing is None or self._publishing.done():
            self._publishing = asyncio.create_task(self._try_to_publish(channel, queue))
            await asyncio.wait({self._publishing}, timeout=PUBLISH_S)
        problem = self._publishing.result() if self._publishing.done() else "it does not answer"
        if problem and not self._broker_away:
            logger().warning("broker.away", channel=channel, problem=problem)
        elif self._broker_away and not problem:
            logger().info("broker.back")
        self._broker_away = bool(problem)
        return not problem

    async def _try_to_publish(self, channel: str, queue: str) -> str:
        """Why publishing failed; empty on success."""
        try:
            await asyncio.to_thread(self._publish, channel, queue)
        except Exception as error:  # noqa: BLE001 # whatever the broker's library raises
            return str(error) or type(error).__name__
        return ""
