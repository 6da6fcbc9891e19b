"""The task ``pushlane.enqueue``: other Celery services enqueue messages by task name, without this package.

A message is accepted once the task has run; before that it may be lost with its worker. The task's id is the
idempotency key unless the message has one, so a task that runs twice enqueues one message. Its arguments contain the
message's text: ``RedactedRequest``, ``redact_logs`` and ``task_message.py`` keep them out of events, logs and
``celery inspect``.
"""

import logging
import random
from dataclasses import asdict, replace
from typing import Any, Final, NoReturn

from celery import Task
from celery.concurrency import base as pool
from celery.exceptions import Reject
from celery.worker.request import Request

from pushlane.errors import PushlaneError, QueueFull, QueueUnavailable
from pushlane.message import check_channel_name, check_idempotency_key
from pushlane.message_json import build
from pushlane.producer import Producer
from pushlane.receipt import Receipt
from pushlane.send_options import internal_key
from pushlane_worker.celery import app
from pushlane_worker.settings import load_settings
from pushlane_worker.task_message import ENQUEUE

MAX_RETRIES: Final = 10
"""With ``MAX_WAIT_S`` this is about four minutes. Then the task fails."""
MAX_WAIT_S: Final = 60.0
"""Below the broker's visibility timeout, after which a waiting task would be delivered again."""


class RedactedRequest(Request):  # type: ignore[misc] # celery has no types
    """A request that hides its arguments; monitors see only the ``argsrepr`` of ``task_message.py``."""

    def info(self, safe: bool = False) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 # celery's signature
        """What ``celery inspect`` and Flower's worker pages show."""
        shown: dict[str, Any] = super().info(safe=True)
        return shown


def redact_logs() -> None:
    """Keeps message content out of a worker's log, even at DEBUG."""
    pool.logger.addFilter(_without_task)


def _without_task(record: logging.LogRecord) -> bool:
    """Rewrites Celery's log lines that quote a task on its way to the pool; drops none."""
    if record.args:
        record.msg, record.args = "A task goes to the pool.", ()
    return True


class EnqueueTask(Task):  # type: ignore[misc] # celery has no types
    """Holds the process's producer, created at the first message, after the fork."""

    Request = RedactedRequest
    _producer: Producer | None = None
    running = 0

    def accept(self, channel: object, message: object, task_id: str) -> Receipt:
        """Enqueues a message in its JSON form. Raises PushlaneError, which names the field but never quotes text."""
        name, form = check_channel_name(channel), build(message)
        key = form.options.idempotency_key or internal_key(check_idempotency_key(f"celery-task:{task_id}"))
        keyed = replace(form, options=replace(form.options, idempotency_key=key))
        if self._producer is None:
            self._producer = Producer(load_settings().redis_url)  # harmless if two threads create one each
        return self._producer.send_form(name, keyed)

    def again(self, error: QueueFull | QueueUnavailable) -> NoReturn:
        """Retries the task later; raises the error after ``MAX_RETRIES``."""
        longest = min(2.0**self.request.retries, MAX_WAIT_S)
        wait_s = round(longest * random.uniform(0.5, 1), 1)  # noqa: S311 # only spreads retries
        hidden = {"argsrepr": self.request.argsrepr, "kwargsrepr": self.request.kwargsrepr}
        try:
            self.retry(exc=error, countdown=wait_s, **hidden)
        except Reject as rejected:
            # The broker did not take it. Celery would drop the task; requeue it instead.
            raise Reject(rejected.reason, requeue=True) from None
        raise AssertionError  # retry always raises


@app.task(  # type: ignore[untyped-decorator] # the same
    name=ENQUEUE, bind=True, base=EnqueueTask, throws=(PushlaneError,), max_retries=MAX_RETRIES
)
def enqueue(self: EnqueueTask, channel: object = None, message: object = None) -> dict[str, Any]:
    """Enqueues one message in its JSON form (``pushlane.message_json``) and returns its receipt."""
    self.running += 1
    try:
        return asdict(self.accept(channel, message, self.request.id))
    except (QueueFull, QueueUnavailable) as error:
        self.again(error)
    finally:
        self.running -= 1
