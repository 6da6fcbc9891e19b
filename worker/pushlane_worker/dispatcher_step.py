"""Runs the dispatcher, and ``/metrics``, in a Celery worker: a bootstep with its own thread and asyncio loop."""

import asyncio
import contextlib
import os
import secrets
import sys
import threading
from collections.abc import Callable
from typing import Any

from celery import Celery, bootsteps

from pushlane.metrics.scrape import Scrape
from pushlane_worker.dispatch.dispatcher import Dispatcher
from pushlane_worker.metrics_server import listen, serving
from pushlane_worker.settings import Settings, load_settings
from pushlane_worker.task_message import DRAIN

JOIN_S = 5.0
LOOKED_AT = 1000
"""How many waiting tasks of a queue are searched; if there are more, another one does not help."""


def make_publish(app: Celery) -> Callable[[str, str], None]:
    """A function that publishes drains, unless the channel's last one is still waiting in its queue.

    A ring lapses after a second even if its task is only waiting for a process, and then a sweep rings again. Another
    task would not start a drain sooner, and in a queue without a consumer they would pile up without end.
    """

    def publish(channel: str, queue: str) -> None:
        with app.connection_or_acquire() as connection:
            connection.ensure_connection(max_retries=1)
            broker = connection.default_channel
            with broker.conn_or_acquire() as client, client.pipeline(transaction=False) as batch:
                # Removes nothing, but as a write it is refused by a primary that has been replaced: a task that nobody
                # takes there any more would keep this one from being published.
                batch.zrem(broker.unacked_index_key, "").lrange(queue, 0, LOOKED_AT - 1)
                _, waiting = batch.execute()
            shown = f"('{channel}',)"  # the arguments as monitors show them
            if len(waiting) == LOOKED_AT or any(shown.encode() in task for task in waiting):
                return
            task_id = f"{channel}-{secrets.token_hex(6)}"  # monitors show it, and with it the channel
            options = {"queue": queue, "task_id": task_id, "argsrepr": shown, "connection": connection}
            app.send_task(DRAIN, args=(channel,), **options)

    return publish


class DispatcherStep(bootsteps.StartStopStep):  # type: ignore[misc] # celery has no types
    """Starts the dispatcher in a worker once its pool is up, and stops it before the pool.

    Ends the process if the port for metrics is not free, before the worker has done anything.
    """

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, metrics_port: int | None = None, **_: object) -> None:  # noqa: ANN401 # celery has no types
        super().__init__(worker)
        try:
            self._listener = None if metrics_port is None else listen(metrics_port)
        except OSError as error:
            why = os.strerror(error.errno or 0)
            sys.stderr.write(f"pushlane: --metrics-port {metrics_port} is not available: {why}\n")
            raise SystemExit(2) from None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="pushlane-dispatcher", daemon=True)

    def start(self, worker: Any) -> None:  # noqa: ANN401 # celery's signature
        """Starts the thread."""
        app, settings = worker.app, load_settings()

        def drain(channel: str) -> None:
            app.tasks[DRAIN].run_drain(channel, done=lambda _: None)

        # Created here, so that a wrong setting fails the start and not a thread.
        dispatcher = Dispatcher(settings, make_publish(app), drain, lambda: app.amqp.queues.consume_from)
        self._running = self._loop.create_task(self._serve(settings, dispatcher))
        self._thread.start()

    def stop(self, worker: Any) -> None:  # noqa: ARG002, ANN401 # celery's signature
        """Stops the thread; does nothing if it was never started."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._running.cancel)
            self._thread.join(JOIN_S)

    terminate = stop

    async def _serve(self, settings: Settings, dispatcher: Dispatcher) -> None:
        async with contextlib.AsyncExitStack() as stack:
            if self._listener is not None:
                scrape = Scrape(settings.redis_url)
                await stack.enter_async_context(serving(self._listener, scrape, settings.read_metrics_tokens()))
            await dispatcher.run()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._running)
        self._loop.close()
