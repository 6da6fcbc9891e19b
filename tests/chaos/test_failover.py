"""A failover of Redis under load, which the clients' TCP connections survive."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from support.callback import c2c, callback, moderation
from support.failover import Pair, replicated
from support.stack import Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Producer, QueueUnavailable, RoomMessage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEFORE = 100
"""Messages that are delivered before the failover, and that come after it."""
PACE_S = 0.01
BACK_WITHIN_S = 5.0


@pytest.fixture
def pair() -> Iterator[Pair]:
    """The two servers."""
    with replicated() as pair:
        yield pair


@pytest.fixture
def stack(pair: Pair, tmp_path: Path) -> Iterator[Stack]:
    """Workers behind the address."""
    with fake_api() as api:
        stack = Stack(pair.url, api, tmp_path, channel_settings(api.url))
        yield stack
        stack.close()


class Sending(threading.Thread):
    """Enqueues texts until it is stopped, each until it is accepted."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.accepted = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        """Sends."""
        with Producer(self.url) as producer:
            while not self.stopped.wait(PACE_S):
                message = RoomMessage(f"r{self.accepted % 20}", f"text #{self.accepted}")
                try:
                    producer.send("support", message, idempotency_key=f"k{self.accepted}")
                except QueueUnavailable:
                    continue
                self.accepted += 1


@pytest.mark.long
@pytest.mark.timeout(120)
def test_a_failover_under_load_loses_nothing_and_is_over_within_5_s(pair: Pair, stack: Stack, tmp_path: Path) -> None:
    """Worker, producer and callback: what was accepted before, during and after it arrives, relayed messages too."""
    stack.worker("-c", "2").ready()
    settings = moderation(tmp_path, relay_channel="support", relay_room="{To_Account}") | dict(stack.settings)
    sending = Sending(pair.url)
    with callback(tmp_path, pair.url, settings) as running, httpx.Client(timeout=10) as client:
        sending.start()
        asked = 0
        while stack.record().accepted < BEFORE:
            running.ask(client, c2c(asked, f"relayed #{asked}"))
            asked += 1
        pair.fail_over()
        changed, at_change = time.monotonic(), stack.record().accepted
        wait_until(lambda: stack.record().accepted > at_change, "delivery to go on")
        took = time.monotonic() - changed
        until = sending.accepted + BEFORE
        while sending.accepted < until:
            running.ask(client, c2c(asked, f"relayed #{asked}"))
            asked += 1
        sending.stopped.set()
        sending.join()
        wait_until(lambda: stack.record().distinct >= sending.accepted + asked, "all messages at the API", 30)
    assert took < BACK_WITHIN_S
