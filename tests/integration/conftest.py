"""Producers, and a stand-in for the chat API."""

from collections.abc import Iterator

import pytest
from redis import Redis
from support.channels import register
from support.processes import broker_of
from support.producers import AsyncDoor, Door, Open
from support.stack import FakeApi, fake_api

from pushlane import Producer


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """An API that answers at once."""
    with fake_api() as api:
        yield api


@pytest.fixture
def broker(redis_url: str) -> Iterator[Redis]:
    """A client of the workers' broker, which is the test's server, or beside the cluster."""
    with Redis.from_url(broker_of(redis_url)) as client:
        yield client


@pytest.fixture
def producer(redis_url: str) -> Iterator[Producer]:
    """A producer on the test's server."""
    with Producer(redis_url) as producer:
        yield producer


@pytest.fixture(params=[Producer, AsyncDoor], ids=["Producer", "AsyncProducer"])
def open_door(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Makes producers of one sort, and closes them at the end."""
    doors: list[Door] = []

    def make(redis_url: str | None, timeout: float = 2.0) -> Door:
        doors.append(request.param(redis_url, timeout=timeout))
        return doors[-1]

    yield make
    for door in doors:
        door.close()


@pytest.fixture
def door(open_door: Open, redis_url: str, redis: Redis) -> Door:
    """A producer with the channel ``support`` registered."""
    register(redis)
    return open_door(redis_url)
