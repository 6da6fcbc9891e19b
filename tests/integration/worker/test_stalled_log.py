"""A log that nobody reads any more: its pipe is full, and the work goes on."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis
from support.callback import c2c, callback, moderation
from support.processes import installed, running
from support.stack import FakeApi, Stack, channel_settings
from support.waiting import wait_until

from pushlane import Producer, RoomMessage


@pytest.fixture
def unread(tmp_path: Path) -> Iterator[Path]:
    """A pipe by name that is open and that nobody reads."""
    path = tmp_path / "callback.log"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path
    os.close(reader)


def test_the_callback_answers(redis_url: str, unread: Path) -> None:
    """Each request has a line of 100 bytes, and a pipe holds 64 KiB: the platform would deliver the rest unjudged."""
    with (
        callback(unread.parent, redis_url, moderation(unread.parent)) as running,
        httpx.Client(timeout=2.0) as client,
    ):
        answers = [running.ask(client, c2c(number, "casino"))["ErrorCode"] for number in range(1500)]
    assert answers == [1] * 1500


def test_a_worker_settles_its_pushes(
    redis_url: str, redis: Redis, api: FakeApi, producer: Producer, unread: Path
) -> None:
    """Each push has a line: those in flight would stay leased, and be pushed again by another worker."""
    stack = Stack(redis_url, api, unread.parent, channel_settings(api.url))
    words = [installed("celery"), "-A", "pushlane_worker", "worker", "-c", "1", "-l", "WARNING"]
    words += ["--without-gossip", "--without-mingle", "-n", "unread@test"]
    with running(words, env=stack.environment, cwd=unread.parent, log=unread, patient=False):
        wait_until(lambda: redis.exists("pushlane:1:{support}:channel"), "the channel to be registered", 30)
        # Another sender each, so that each is a push of its own.
        messages = [RoomMessage(f"r{n % 50}", f"hello #{n}", sender_eid=f"s{n // 50}") for n in range(1000)]
        producer.send_many("support", messages)
        stack.wait_for(1000, timeout_s=30)
        wait_until(lambda: stack.depth() == 0, "all to be settled")
    assert stack.record().duplicates == 0
