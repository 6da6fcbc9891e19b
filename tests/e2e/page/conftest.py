"""A callback with the page, and a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.browser import chromium
from support.callback import Callback, callback
from support.page import page_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from pushlane_worker.embedded import EmbeddedServer


@pytest.fixture(scope="session")
def serving(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callback]:
    """One callback for all of these tests; each begins with an empty database."""
    folder = tmp_path_factory.mktemp("callback")
    with callback(folder, server.url, page_settings(folder)) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all of these tests; each has a tab of its own."""
    with chromium() as browser:
        yield browser
