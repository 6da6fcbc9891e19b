"""The moderation endpoint, opened with the settings of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog
from support.callback import moderation
from support.odd_policies import POLICIES
from support.questions import Asker

from pushlane.callback.app import make_app
from pushlane.callback.settings import load_callback_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def ask(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Asker]]:
    """Opens the app with these settings of MODERATION; closed at the end."""
    (tmp_path / "odd_policies.py").write_text(POLICIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PUSHLANE_REDIS_URL", redis_url)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pushlane.callback.app.PROCESSES", 1)  # it takes half a second to start one
    opened: list[Asker] = []
    # Nobody has configured them here, and then a traceback is a work of art that takes a second.
    quiet = structlog.wrap_logger(structlog.ReturnLogger(), processors=[])
    monkeypatch.setattr("pushlane.service.logs.structlog.get_logger", lambda: quiet)

    def make(**settings: object) -> Asker:
        for name, value in moderation(tmp_path, **settings).items():
            monkeypatch.setenv(name, value)
        opened.append(Asker(make_app(load_callback_settings())).__enter__())
        return opened[-1]

    yield make
    for one in opened:
        one.__exit__()
