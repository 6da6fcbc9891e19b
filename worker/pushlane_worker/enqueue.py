"""The task ``pushlane.enqueue``: other Celery services enqueue a message by name, without this package.

A task is accepted when it has run; before that it may be lost with its worker. Its id is its idempotency key unless the
message has one, so that a task that runs twice is one message. Its arguments hold the message's text: ``Discreet`` and
``hush`` keep them out of events, logs and the answers to ``celery inspect``, whatever the sender does.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Final, NoReturn

from celery import Task
from celery.concurrency import base as pool
from celery.exceptions import InvalidTaskError, Reject
from celery.worker.consumer import consumer
from celery.worker.request import Request
from kombu.exceptions import ContentDisallowed

from pushlane.errors import InvalidMessage, PushlaneError, QueueFull, QueueUnavailable
from pushlane.form import build
from pushlane.message import Receipt, check_channel_name, check_idempotency_key
from pushlane.options import internal_key
from pushlane.outbox import Producer
from pushlane_worker.celery import app
from pushlane_worker.settings import load_settings

MAX_RETRIES: Final = 10
"""With ``MAX_WAIT_S`` about four minutes. Then the task fails."""
MAX_WAIT_S: Final = 60.0
"""Below the broker's visibility timeout, after which a waiting task would be delivered again."""

_HIDDEN: Final = "…"
_MAX_REASON_CHARS: Final = 200
_QUOTING: Final = frozenset(
    {
        consumer.UNKNOWN_FORMAT,
        consumer.UNKNOWN_TASK_ERROR,
        consumer.INVALID_TASK_ERROR,
        consumer.MESSAGE_DECODE_ERROR,
    }
)
"""Celery's log lines that quote the body of a message which it throws away."""


class Discreet(Request):  # type: ignore[misc] # celery has no types
    """A request whose arguments nobody is shown, but for the channel's name.

    Senders put a representation of the arguments into the message; Celery logs it, and monitors get it with the events.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 # celery has no types
        super().__init__(*args, **kwargs)
        shown = {"argsrepr": f"({_HIDDEN})" if self.args else "()", "kwargsrepr": _shown(self.kwargs)}
        self._argsrepr, self._kwargsrepr = shown["argsrepr"], shown["kwargsrepr"]
        self.request_dict.update(shown)  # what the pool process logs a failure with

    def info(self, safe: bool = False) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 # celery's signature
        """What ``celery inspect`` and Flower's pages of workers are told."""
        told: dict[str, Any] = super().info(safe=True)
        return told


def _shown(kwargs: object) -> str:
    channel = kwargs.get("channel") if isinstance(kwargs, dict) else None
    try:
        return repr({"channel": check_channel_name(channel), "message": _HIDDEN})
    except InvalidMessage:
        return f"{{{_HIDDEN}}}"


class _Bodiless(logging.Filter):
    """Lets Celery say what it did with a message, without the message."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Changes the lines that quote one; lets all pass."""
        if record.name == pool.logger.name and record.args:
            record.msg, record.args = "A task goes to the pool.", ()
        elif record.msg in _QUOTING:
            error = record.args[0] if isinstance(record.args, tuple) and record.args else None
            record.msg, record.args = "A message was thrown away: %s", (_reason(error)[:_MAX_REASON_CHARS],)
            record.exc_info = None
        return True


def _reason(error: object) -> str:
    if isinstance(error, KeyError):
        return f"no task here is called {error}"
    # Other errors may quote what they could not read.
    return str(error) if isinstance(error, ContentDisallowed) else f"it can not be read ({type(error).__name__})"


def hush() -> None:
    """Keeps what messages say out of a worker's log, also at DEBUG and when it can not read them."""
    for log in (consumer.logger, pool.logger):
        log.addFilter(_Bodiless())


def _whole(payload: object) -> bool:
    match payload:
        case [list(), dict(), dict() | None] | {"args": _}:  # the second is of an older protocol
            return True
    return False


class EnqueueTask(Task):  # type: ignore[misc] # celery has no types
    """Holds the producer of its process, made at the first message: after the fork."""

    Request = Discreet
    _producer: Producer | None = None
    running = 0

    def start_strategy(self, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:  # noqa: ANN401 # celery has no types
        """Celery's way of taking a message, but for malformed ones: each would end one worker after the other."""
        take = super().start_strategy(app, consumer, **options)

        def take_if_whole(message: Any, body: object, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 # the same
            if not isinstance(message.headers.get("id"), str) or not (body is not None or _whole(message.payload)):
                raise InvalidTaskError("it is no task of Celery's protocol")
            return take(message, body, *args, **kwargs)

        return take_if_whole

    def accept(self, channel: object, message: object, task_id: str) -> Receipt:
        """Enqueues the message in its JSON form. Raises PushlaneError, whose words name the field and no text."""
        name, form = check_channel_name(channel), build(message)
        key = form.options.idempotency_key or internal_key(check_idempotency_key(f"celery-task:{task_id}"))
        keyed = replace(form, options=replace(form.options, idempotency_key=key))
        if self._producer is None:
            self._producer = Producer(load_settings().redis_url)  # two threads that make two lose nothing
        return self._producer.send_form(name, keyed)

    def again(self, error: QueueFull | QueueUnavailable) -> NoReturn:
        """Publishes the task again for later; after ``MAX_RETRIES`` raises the error."""
        longest = min(2.0**self.request.retries, MAX_WAIT_S)
        wait_s = round(longest * random.uniform(0.5, 1), 1)  # noqa: S311 # it only spreads retries
        hidden = {"argsrepr": self.request.argsrepr, "kwargsrepr": self.request.kwargsrepr}
        try:
            self.retry(exc=error, countdown=wait_s, **hidden)
        except Reject as rejected:
            # The broker did not take it. Celery would drop the task; it goes back to where it came from.
            raise Reject(rejected.reason, requeue=True) from None
        raise AssertionError  # retry always raises


@app.task(  # type: ignore[untyped-decorator]
    name="pushlane.enqueue", bind=True, base=EnqueueTask, throws=(PushlaneError,), max_retries=MAX_RETRIES
)
def enqueue(self: EnqueueTask, channel: object = None, message: object = None) -> dict[str, Any]:
    """Enqueues one message and returns its receipt.

    Args:
        self: The task.
        channel: The channel's name.
        message: The message in its one JSON form; see ``pushlane.form``.
    """
    self.running += 1
    try:
        return asdict(self.accept(channel, message, self.request.id))
    except (QueueFull, QueueUnavailable) as error:
        self.again(error)
    finally:
        self.running -= 1
