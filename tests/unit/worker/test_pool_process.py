"""A process before its first drain."""

import gc

import pytest
from support.environment import CHANNEL, ROOT, Tell

from pushlane_worker import tasks


def test_garbage_collections_skip_what_is_imported(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    """They took a sixth of a drain's time."""
    tell.all({**ROOT, **CHANNEL})
    monkeypatch.setattr(tasks.drain, "_loop", None)
    monkeypatch.setattr(tasks, "configure", lambda _: None)
    gc.unfreeze()
    try:
        loop = tasks.drain.loop()
        assert gc.get_freeze_count() > 10_000
        loop.close()
    finally:
        gc.unfreeze()
