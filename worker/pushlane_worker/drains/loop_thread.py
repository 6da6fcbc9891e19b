"""The loop thread: one asyncio loop per pool process, which outlives the Celery tasks that start drains in it.

A task waits for its drain's claiming phase, but only while the drain makes progress. A drain that waits for the gate,
the rate or an answer continues in the loop without its task, and so do pushes still in flight when the phase ends; the
report follows once they are settled. So a channel that can do nothing does not delay the process's other tasks.
"""

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable

import uvloop

from pushlane.connections import UNANSWERED
from pushlane.errors import NewerChannel, SettingsError
from pushlane_worker.channels.channel import channel_records, make_channel
from pushlane_worker.channels.http import AiohttpTransport, PushClient
from pushlane_worker.drains.capacity import Capacity
from pushlane_worker.drains.drain import IDLE_AFTER_S, Drain, Report
from pushlane_worker.drains.handover import Handover
from pushlane_worker.drains.push import Pushers
from pushlane_worker.heartbeat import Heartbeat
from pushlane_worker.queue.store import Store
from pushlane_worker.queue.turns import Turns
from pushlane_worker.settings import Settings
from pushlane_worker.telemetry import logger

SETTLE_S = 5.0
"""How long settling may take after the last push's deadline when the process ends."""

Done = Callable[[Report], None]


class LoopThread:
    """The loop of one pool process. Create it after the fork; ``drain`` may be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._capacity = Capacity(settings.max_in_flight, len(settings.channels))
        self._store = Store.connect(settings.redis_url, channel_records(settings))
        self._transport = AiohttpTransport(limit=settings.max_in_flight)
        self._pushers: dict[str, Pushers] = {}
        self._handovers: defaultdict[str, Handover] = defaultdict(Handover)
        self._drains: set[Drain] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pushlane-loop", daemon=True)
        if settings.heartbeat_file:
            self._loop.call_soon(Heartbeat(settings.heartbeat_file).follow, self._loop)
        self._thread.start()

    def drain(self, channel: str, done: Done) -> None:
        """Runs one drain; returns when it is done or continues without its task.

        ``done`` is called once with the final report, from another thread.

        Raises:
            SettingsError: The channel is not one of this worker's.
        """
        if channel not in self.settings.channels:
            raise SettingsError(
                f"PUSHLANE_CHANNELS__{channel.upper()}", "is not set in this worker, but it got a drain task for it"
            )
        asyncio.run_coroutine_threadsafe(self._drain(Report(channel), done), self._loop).result()

    def stop_claiming(self) -> None:
        """Stops all drains from claiming and gives back unsent batches. Safe in a signal handler."""
        self._loop.call_soon_threadsafe(self._stop_claiming)

    def close(self) -> None:
        """Stops claiming, waits for the pushes in flight to be settled, and ends the thread."""
        if not self._thread.is_alive():
            return
        future = asyncio.run_coroutine_threadsafe(self._close(), self._loop)
        with contextlib.suppress(TimeoutError):
            future.result(self.settings.push_deadline_s + SETTLE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SETTLE_S)

    def _stop_claiming(self) -> None:
        for drain in self._drains:
            drain.end("shutdown")
        for pushers in self._pushers.values():
            pushers.give_back()

    async def _close(self) -> None:
        self._stop_claiming()
        await self._idle.wait()
        for pushers in self._pushers.values():
            await pushers.close()
        await self._transport.aclose()
        await self._store.aclose()

    async def _drain(self, report: Report, done: Done) -> None:
        if not await self._is_wanted(report.channel):
            report.ended = "busy"
            await self._loop.run_in_executor(None, done, report)
            return
        drain = Drain(
            turns=Turns(self._store, report.channel, self.settings.lease_s),
            pushers=self._pushers_of(report.channel),
            capacity=self._capacity,
            slice_s=self.settings.slice_s,
            report=report,
        )
        self._drains.add(drain)
        self._idle.clear()
        claiming = self._loop.create_task(self._handovers[report.channel].claim(drain))
        self._loop.create_task(self._finish(drain, claiming, done))
        waits = self._loop.create_task(drain.idle.wait())
        while not claiming.done() and not drain.is_idle:
            await asyncio.wait({claiming, waits}, timeout=IDLE_AFTER_S / 2, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()

    async def _is_wanted(self, channel: str) -> bool:
        """Whether the ring is still unanswered: of several waiting tasks of a channel the first answers it."""
        try:
            return await self._store.is_ring_out(channel)
        except UNANSWERED:
            return True  # its turn will wait for Redis

    async def _finish(self, drain: Drain, claiming: asyncio.Task[None], done: Done) -> None:
        await self._await("drain.broken", drain, claiming)
        # Also after claiming has failed: pushes made meanwhile must be settled. What cannot be settled is left to its
        # leases, which expire as unknown.
        await self._await("drain.unsettled", drain, drain.settle())
        await self._loop.run_in_executor(None, done, drain.report)
        self._drains.discard(drain)
        if not self._drains:
            self._idle.set()

    @staticmethod
    async def _await(trouble: str, drain: Drain, step: Awaitable[None]) -> None:
        try:
            await step
        except NewerChannel:  # the dispatcher logs it
            drain.report.ended = "newer"
        except Exception as error:  # noqa: BLE001 # nothing awaits this any more
            drain.report.fault = f"{type(error).__name__}: {error}"
            logger().exception(trouble, channel=drain.report.channel)

    def _pushers_of(self, channel: str) -> Pushers:
        if channel not in self._pushers:
            own, deadline_s = self.settings.channels[channel], self.settings.push_deadline_s
            self._pushers[channel] = Pushers(
                channel=make_channel(channel, own, deadline_s),
                client=PushClient(self._transport, deadline_s=deadline_s, proxy=own.proxy_url),
                deadline_s=deadline_s,
                count=self._capacity.alone,
            )
        return self._pushers[channel]
