"""The task ``pushlane.drain``, and what a worker does when it starts and stops.

The task calls one function; ``monitoring.py`` shows monitors how that ended.
"""

import gc
import logging
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import redis
from billiard.process import current_process
from celery import Task, signals
from celery.exceptions import Ignore
from celery.utils.log import get_multiprocessing_logger

from pushlane.errors import SettingsError
from pushlane.operators.inspection import Inspector
from pushlane.service.redis_requirements import READ_ONLY
from pushlane.service.span_export import SpanExport
from pushlane_worker.celery import app, consume_also
from pushlane_worker.dispatcher_step import DispatcherStep
from pushlane_worker.drains.drain import Report
from pushlane_worker.drains.loop_thread import LoopThread
from pushlane_worker.enqueue import enqueue, redact_logs
from pushlane_worker.heartbeat import Heartbeat
from pushlane_worker.json_log import JsonFormatter, log_what_is_printed
from pushlane_worker.library_log import calm_flower, calm_worker
from pushlane_worker.monitoring import DrainMonitor, drop_ignored_lines
from pushlane_worker.settings import Settings, load_settings, load_worker_settings
from pushlane_worker.task_message import DRAIN
from pushlane_worker.telemetry import configure, logger

app.steps["worker"].add(DispatcherStep)
calm_flower()


class DrainTask(Task):  # type: ignore[misc] # celery has no types
    """Holds the process's loop thread, created at the first drain, after the fork.

    The main process of a prefork pool also has one once it had to drain without the broker (``dispatcher.py``).
    """

    _loop: LoopThread | None = None
    _parents: LoopThread | None = None
    _making = threading.Lock()  # a thread pool may run two first drains at once
    spans = SpanExport("pushlane-worker")
    _running = 0

    def loop(self) -> LoopThread:
        """The process's loop thread."""
        with self._making:
            if self._loop is None:
                settings = load_settings()
                self._log = configure(settings)
                self.spans.start()
                self._loop = LoopThread(settings)
                # All this lives as long as the process: to find that out takes a full collection of Python's 40 ms,
                # and such collections took a sixth of a drain's time.
                gc.freeze()
                if current_process().name != "MainProcess":  # a child of a prefork pool
                    signal.signal(signal.SIGTERM, self._on_sigterm)
            return self._loop

    def forked(self) -> None:
        """Sets aside the main process's loop thread, which a fork does not copy; only the parent may stop it."""
        self._making = threading.Lock()
        self._parents, self._loop, self._running = self._loop, None, 0

    def stop_claiming(self) -> None:
        """Stops the process's drains from claiming."""
        if self._loop is not None:
            self._loop.stop_claiming()

    def close(self) -> None:
        """Settles what is in flight and ends the process's loop thread."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None
            self._log.close()
        self.spans.close()

    def _on_sigterm(self, *_: object) -> None:
        """A SIGTERM to the whole process group also reaches pool children, and would kill them in mid-push.

        A busy child stops claiming, and its parent tells it when to exit. An idle one exits now, in the way that runs
        ``worker_process_shutdown``.
        """
        self.stop_claiming()
        if not self._running and not enqueue.running:
            sys.exit(0)

    def run_drain(self, channel: str, done: Callable[[Report], None]) -> None:
        """Runs one drain; the process counts as busy until the drain can continue without its task."""
        self._running += 1  # before creating the loop, which installs the handler
        try:
            self.loop().drain(channel, done)
        finally:
            self._running -= 1


@app.task(name=DRAIN, bind=True, base=DrainTask)  # type: ignore[untyped-decorator] # celery has no types
def drain(self: DrainTask, channel: str) -> None:
    """Drains one channel for a slice. Its result is in the final event; see ``monitoring.py``."""
    monitor = DrainMonitor(self.app, self.request.id, self.request.hostname)
    self.run_drain(channel, monitor.show)
    raise Ignore


def _check_server(settings: Settings) -> None:
    """A server that is unavailable, or a replica during a failover, is no reason to stop: the worker waits for it."""
    try:
        with Inspector(settings.redis_url) as inspector:
            findings = inspector.findings()
    except redis.RedisError as error:
        logger().warning("redis.unavailable", problem=str(error) or type(error).__name__)
        return
    if any(READ_ONLY in what for _, what in findings):
        return
    for verdict, what in findings:
        if verdict == "failed":
            raise SettingsError("PUSHLANE_REDIS_URL", what)


@signals.celeryd_init.connect  # type: ignore[untyped-decorator] # celery has no types
def check_worker(instance: Any = None, **_: object) -> None:  # noqa: ANN401 # celery has no types
    """Aborts a worker's start with a one-line error when a setting is wrong."""
    try:
        settings = load_worker_settings(str(getattr(instance, "pool_cls", "")))
        configure(settings)
        redact_logs()
        drop_ignored_lines()
        calm_worker()
        if settings.log_format == "json":
            log_what_is_printed(instance)
        _check_server(settings)
        if settings.heartbeat_file:
            Heartbeat(settings.heartbeat_file).begin()
        consume_also(channel.queue for channel in settings.channels.values())
    except SettingsError as error:
        sys.stderr.write(f"pushlane: {error}\n")
        raise SystemExit(2) from None


@signals.after_setup_logger.connect  # type: ignore[untyped-decorator] # celery has no types
@signals.after_setup_task_logger.connect  # type: ignore[untyped-decorator] # celery has no types
def format_lines(logger: logging.Logger, **_: object) -> None:
    """Makes Celery's own log lines JSON if ours are, and those of its pool about children that die."""
    if load_settings().log_format == "json":
        for handler in (*logger.handlers, *get_multiprocessing_logger().handlers):
            handler.setFormatter(JsonFormatter())


@signals.worker_process_init.connect  # type: ignore[untyped-decorator] # celery has no types
def begin(**_: object) -> None:
    """A new pool process keeps nothing of its parent's."""
    drain.forked()
    drain.spans.start()  # also for ``pushlane.enqueue``


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator] # celery has no types
def stop_claiming(**_: object) -> None:
    """Stops the drains in the worker's main process: threads and solo pools, and those that could not be published."""
    drain.stop_claiming()


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator] # celery has no types
@signals.worker_shutdown.connect  # type: ignore[untyped-decorator] # celery has no types
def close(**_: object) -> None:
    """Settles the process's pushes before it ends."""
    drain.close()
