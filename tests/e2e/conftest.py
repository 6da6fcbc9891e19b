"""A queue that commands are tried on."""

from collections.abc import Iterator

import pytest
from redis import Redis
from support.channels import register

from pushlane import Producer


@pytest.fixture
def support(redis: Redis, redis_url: str) -> str:
    """The address of a queue with the channel ``support``."""
    register(redis)
    return redis_url


@pytest.fixture
def producer(support: str) -> Iterator[Producer]:
    """A producer for the channel ``support``."""
    with Producer(support) as producer:
        yield producer
