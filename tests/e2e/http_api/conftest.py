"""A callback that services enqueue at, and the client of one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.callback import Callback, callback
from support.channels import register
from support.http_api import KEYS, Api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from pushlane_worker.embedded import EmbeddedServer


@pytest.fixture(scope="session")
def serving(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callback]:
    """One callback for all of these tests; each begins with an empty database."""
    with callback(tmp_path_factory.mktemp("callback"), server.url, KEYS) as running:
        yield running


@pytest.fixture
def api(serving: Callback, redis: Redis) -> Iterator[Api]:
    """The client of a service that may use the registered channels `support` and `crm`."""
    register(redis)
    register(redis, "crm", kind="third_party")
    with Api(serving.url) as client:
        yield client
