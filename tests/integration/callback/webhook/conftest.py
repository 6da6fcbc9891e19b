"""The webhook's endpoint in the test's own process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.channels import register
from support.webhook import webhook
from support.webhook_app import Open, Sender

from pushlane.callback.app import make_app
from pushlane.callback.settings import load_callback_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from redis import Redis


@pytest.fixture
def open_app(redis: Redis, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens the app with these environments of webhooks, and with ``support`` and ``shop`` registered."""
    register(redis)
    register(redis, "shop", kind="third_party", max_text=0)
    monkeypatch.setenv("PUSHLANE_REDIS_URL", redis_url)
    monkeypatch.chdir(tmp_path)
    opened: list[Sender] = []

    def make(*webhooks: Mapping[str, str]) -> Sender:
        for variables in webhooks:
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
        opened.append(Sender(make_app(load_callback_settings())).__enter__())
        return opened[-1]

    yield make
    for one in opened:
        one.__exit__()


@pytest.fixture
def sender(open_app: Open) -> Sender:
    """A webhook that relays to the user's room in ``support``."""
    return open_app(webhook())
