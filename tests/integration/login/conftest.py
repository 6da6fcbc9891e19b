"""A callback with the page, behind a proxy that it trusts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.callback import Callback, callback
from support.login import BEHIND
from support.page import page_settings


@pytest.fixture
def site(redis_url: str, tmp_path: Path) -> Iterator[Callback]:
    """One process."""
    with callback(tmp_path, redis_url, page_settings(tmp_path) | BEHIND) as started:
        yield started
