"""A queue that commands are tried on."""

import pytest
from redis import Redis
from support.channels import register


@pytest.fixture
def support(redis: Redis, redis_url: str) -> str:
    """The address of a queue with the channel ``support``."""
    register(redis)
    return redis_url
