"""How long a task of `pushlane.enqueue` waits for a queue that is full or away, and what becomes of it."""

from typing import Any, NoReturn

import pytest
from celery.exceptions import Reject

from pushlane.errors import QueueFull
from pushlane_worker.celery import app
from pushlane_worker.enqueue import MAX_RETRIES, MAX_WAIT_S, EnqueueTask, enqueue
from pushlane_worker.tasks import drain

FULL = QueueFull("support", "5 messages are already waiting", 1)


class Published(Exception):  # it is none
    """Tells with which wait the task was published again."""


def test_waits_double_and_end_before_the_broker_delivers_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a second to a minute, four minutes in all: no sender waits for ever, and none is answered at once."""
    waits = []
    for retries in range(MAX_RETRIES):
        monkeypatch.setattr(EnqueueTask, "retry", _publishing)
        with pytest.raises(Published) as told:
            _again(retries)
        waits.append(told.value.args[0])
    assert all(wait <= min(2**n, MAX_WAIT_S) <= 2 * wait for n, wait in enumerate(waits))
    assert 150 <= sum(waits) <= 303
    assert app.conf.broker_transport_options["visibility_timeout"] > MAX_WAIT_S


def test_a_task_that_the_broker_does_not_take_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery would drop it: the queue's Redis is away, and most often the broker is the same one."""

    def refusing(*_: object, **__: object) -> NoReturn:
        raise Reject("broker away", requeue=False)

    monkeypatch.setattr(EnqueueTask, "retry", refusing)
    with pytest.raises(Reject) as raised:
        _again(0)
    assert raised.value.requeue
    assert raised.value.reason == "broker away"


def test_sigterm_to_its_group_ends_no_process_in_the_middle_of_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle pool process ends at once, a busy one when its parent says so."""
    monkeypatch.setattr(EnqueueTask, "accept", lambda *_: drain._on_sigterm())
    with pytest.raises(TypeError, match="asdict"):  # it went on after the signal
        enqueue("support", {})
    with pytest.raises(SystemExit):
        drain._on_sigterm()


def _again(retries: int) -> None:
    enqueue.push_request(retries=retries, argsrepr="()", kwargsrepr="{}")
    try:
        enqueue.again(FULL)
    finally:
        enqueue.pop_request()


def _publishing(*_: object, countdown: float, **__: Any) -> NoReturn:  # noqa: ANN401 # what the task passes on
    raise Published(countdown)
