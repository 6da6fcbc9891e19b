"""A callback with the page, and somebody who is logged in."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from support.callback import Callback, callback
from support.page import Person, page_settings
from support.queue import Queue, settle

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis


@pytest.fixture(scope="session")
def serving(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callback]:
    """One callback for all of these tests; each begins with an empty database."""
    name = "nodes" if request.config.getoption("server") == "cluster" else "server"
    folder = tmp_path_factory.mktemp("callback")
    with callback(folder, request.getfixturevalue(name).url, page_settings(folder)) as running:
        yield running


@pytest.fixture
def person(serving: Callback, redis_url: str) -> Iterator[Person]:
    """Anna, who is logged in."""
    assert redis_url
    with contextlib.closing(Person(serving.url)) as person:
        yield person


@pytest.fixture
def queue(redis: Redis) -> Queue:
    """The channel `support`, which many failures do not stop."""
    return Queue(redis, batch_limit=1000, breaker_after=1000)


@pytest.fixture
def kill(queue: Queue) -> Callable[..., None]:
    """Makes messages of a room and lets them die."""

    def kill(room: str, *ids: str, reason: str = "r", detail: str = "said so") -> None:
        queue.enqueue(room, *ids)
        for taken in queue.turn().claims:
            dead = "1" * len(taken.message_ids)
            queue.turn(settle(taken, Outcome.UNKNOWN, dead=dead, reason=reason, detail=detail))

    return kill
