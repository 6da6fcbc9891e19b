"""A callback with the page, behind a proxy that it trusts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.callback import Callback, callback
from support.login import BEHIND
from support.page import page_settings


@pytest.fixture(scope="session")
def serving(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callback]:
    """One process for all of these tests."""
    name = "nodes" if request.config.getoption("server") == "cluster" else "server"
    folder = tmp_path_factory.mktemp("callback")
    with callback(folder, request.getfixturevalue(name).url, page_settings(folder) | BEHIND) as started:
        yield started


@pytest.fixture
def site(serving: Callback, redis_url: str) -> Callback:
    """It, with an empty database."""
    assert redis_url
    return serving


@pytest.fixture
def own_site(redis_url: str, tmp_path: Path) -> Iterator[Callback]:
    """A process that has seen no wrong password yet, and whose own file has the right one."""
    with callback(tmp_path, redis_url, page_settings(tmp_path) | BEHIND) as started:
        yield started
