"""One key and one message, over Python, HTTP and Celery."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Protocol

import pytest
from celery import Celery
from support.callback import callback
from support.http_api import KEYS, SUPPORT, Api, problem
from support.stack import Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import IdempotencyConflict, Producer, RoomMessage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import httpx

pytestmark = pytest.mark.long
KEY = "order-7"


class Door(Protocol):
    """A way into the queue."""

    def send(self, text: str, key: str) -> None:
        """Sends a message that is to be accepted, or known."""

    def conflicts(self, text: str, key: str) -> None:
        """Sends a message whose key another one has."""


class ByPython:
    """The library."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def send(self, text: str, key: str) -> None:
        """By its method."""
        self._producer.send("support", RoomMessage("r", text), idempotency_key=key)

    def conflicts(self, text: str, key: str) -> None:
        """An error."""
        with pytest.raises(IdempotencyConflict):
            self.send(text, key)


class ByHttp:
    """A service with an API key."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def send(self, text: str, key: str) -> None:
        """By a POST."""
        assert self._post(text, key).status_code == 202

    def conflicts(self, text: str, key: str) -> None:
        """Status 409."""
        problem(self._post(text, key), 409)

    def _post(self, text: str, key: str) -> httpx.Response:
        return self._api.post(SUPPORT, json={"room_id": "r", "text": text}, headers={"Idempotency-Key": key})


class ByCelery:
    """A service's own Celery app. How a task ended stands in the worker's log."""

    def __init__(self, app: Celery, log: Path) -> None:
        self._app, self._log = app, log

    def send(self, text: str, key: str) -> None:
        """By a task that succeeds."""
        self._ends("succeeded in", text, key)

    def conflicts(self, text: str, key: str) -> None:
        """A task that fails."""
        self._ends("raised expected: IdempotencyConflict", text, key)

    def _ends(self, how: str, text: str, key: str) -> None:
        message = {"room_id": "r", "text": text, "idempotency_key": key}
        kwargs = {"channel": "support", "message": message}
        task = self._app.send_task("pushlane.enqueue", kwargs=kwargs, queue="pushlane.enqueue").id
        wait_until(lambda: f"pushlane.enqueue[{task}] {how}" in self._log.read_text(), f"the task to have {how}", 20)


@pytest.fixture
def doors(redis_url: str, tmp_path: Path) -> Iterator[tuple[Stack, Sequence[Door]]]:
    """The three of them, before one queue with a worker."""
    with fake_api() as api, callback(tmp_path, redis_url, KEYS) as serving, Producer(redis_url) as producer:
        stack = Stack(redis_url, api, tmp_path, channel_settings(api.url))
        worker = stack.worker("-c", "1").ready()
        app = Celery("a-service", broker=redis_url)
        with Api(serving.url) as client:
            yield stack, (ByPython(producer), ByHttp(client), ByCelery(app, worker.log))
        app.close()
        stack.close()


def test_one_key_and_one_message_are_one_delivery_whatever_the_way(doors: tuple[Stack, Sequence[Door]]) -> None:
    """In each order of the three; with another body it is a conflict over each."""
    stack, ways = doors
    for number, order in enumerate(itertools.permutations(ways)):
        for way in order:
            way.send(f"text {number}", f"{KEY}/{number}")
        for way in order:
            way.conflicts("another text", f"{KEY}/{number}")
    stack.wait_for(6)
    wait_until(lambda: stack.depth() == 0, "the queue to be empty")
    assert stack.api.texts("r") == [f"text {number}" for number in range(6)]
