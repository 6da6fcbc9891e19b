"""Reports a drain to monitors such as Flower and to the log, once, when its last push is settled.

A drain outlives its Celery task (``loop_thread.py``), but Celery would report a state when the task ends. So the task
asks Celery to ignore it, and the final event is sent here.
"""

import logging
import os
import time
from dataclasses import dataclass, field
from typing import Any

from celery import Celery
from celery.app import trace

from pushlane.outcome import Outcome
from pushlane_worker.drains.drain import Report
from pushlane_worker.errors import DrainError, MessagesDeadLettered, PushesPostponed
from pushlane_worker.task_message import DRAIN
from pushlane_worker.telemetry import logger

POSTPONED = (Outcome.FAILED, Outcome.THROTTLED, Outcome.MISCONFIGURED, Outcome.UNKNOWN)
"""Outcomes after which the same messages are pushed again."""


@dataclass(frozen=True, slots=True)
class DrainMonitor:
    """Reports the end of the drain that a Celery task started, as an event of the worker ``hostname``."""

    app: Celery
    task_id: str
    hostname: str
    _started: float = field(default_factory=time.monotonic)

    def show(self, report: Report) -> None:
        """Sends the task's final event and logs a line. Never raises."""
        trouble = read_trouble(report)
        _log(report, trouble)
        state, fields = _event(report, trouble)
        try:
            with self.app.events.default_dispatcher(hostname=self.hostname) as dispatcher:
                dispatcher.send(state, uuid=self.task_id, runtime=time.monotonic() - self._started, **fields)
        except Exception as error:  # noqa: BLE001 # a missed event is no reason to fail a drain
            logger().warning("drain.event_lost", channel=report.channel, problem=str(error) or type(error).__name__)


def read_trouble(report: Report) -> DrainError | None:
    """What a Celery user needs to know about a drain that did not simply succeed.

    Dead-lettered messages and our own faults are a failure. Pushes that will be retried count as trouble only if the
    drain delivered nothing.
    """
    if report.fault:
        return DrainError(f"{report.channel}: {report.fault}")
    if report.dead_lettered:
        total = report.delivered + report.dead_lettered
        return MessagesDeadLettered(report.channel, report.dead_lettered, total, report.death)
    if report.delivered or not _postponed(report):
        return None
    counts = [(outcome, report.outcomes[outcome]) for outcome in POSTPONED if report.outcomes[outcome]]
    words = ", ".join(
        f"{count} {outcome.name.lower()} ({report.details.get(outcome, '')})" for outcome, count in counts
    )
    return PushesPostponed(report.channel, words, report.next_ms / 1000 if report.next_ms >= 0 else None)


def _postponed(report: Report) -> int:
    """Pushes that will be retried: Flower's column ``Retries``."""
    return sum(report.outcomes[outcome] for outcome in POSTPONED)


def _event(report: Report, trouble: DrainError | None) -> tuple[str, dict[str, Any]]:
    fields: dict[str, Any] = {"result": repr(report.as_result()), "retries": _postponed(report)}
    if trouble is None:
        return "task-succeeded", fields
    fields |= {"exception": f"{type(trouble).__name__}: {trouble}", "traceback": ""}
    return "task-retried" if isinstance(trouble, PushesPostponed) else "task-failed", fields


def _log(report: Report, trouble: DrainError | None) -> None:
    if trouble is not None and not isinstance(trouble, PushesPostponed):
        log = logger().warning
    else:
        log = logger().info if report.pushes else logger().debug
    problem = {"problem": str(trouble)} if trouble else {}
    log("drain.done", pid=os.getpid(), **report.as_result(), **problem)


def drop_ignored_lines() -> None:
    """Drops Celery's line "Task pushlane.drain[…] ignored", because ``drain.done`` says how it ended."""
    trace.logger.addFilter(_is_kept)


def _is_kept(record: logging.LogRecord) -> bool:
    ours = isinstance(record.args, dict) and record.args.get("name") == DRAIN
    return not (ours and record.msg == trace.log_policy_ignore.format.strip())
