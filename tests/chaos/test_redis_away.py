"""Redis, or Celery's broker alone, is away for a while: deliveries go on soon after it is back."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from support.stack import FakeApi, Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Producer, RoomMessage
from pushlane_worker.embedded import EmbeddedServer

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
BACK_WITHIN_S = 5
ROOMS, RATE = 3000, 20
"""Pushes of one message each, and how many a second: enough for the longest absence."""


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """The stand-in for the chat API."""
    with fake_api() as api:
        yield api


@pytest.mark.parametrize("away_s", [5, 30, 90])
@pytest.mark.parametrize("what", ["redis", "broker"])
def test_a_backlog_goes_on_within_5_s_of_its_return(api: FakeApi, tmp_path: Path, what: str, away_s: int) -> None:
    """Without the broker alone it goes on all the time, as the dispatcher drains."""
    with _stack(api, tmp_path) as (workers, servers), Producer(servers["redis"].url) as producer:
        producer.send_many("support", [RoomMessage(f"room {n}", "hello") for n in range(ROOMS)])
        at_loss = workers.wait_for(RATE).accepted
        servers[what].kill()
        time.sleep(away_s)
        at_return = workers.record().accepted
        if what == "broker":
            assert at_return - at_loss > RATE * away_s / 2
        servers[what].start()
        wait_until(lambda: workers.record().accepted > at_return, "the first delivery", BACK_WITHIN_S)


@pytest.mark.parametrize("away_s", [5, 30, 90])
@pytest.mark.parametrize("what", ["redis", "broker"])
def test_a_new_message_is_delivered_within_5_s_of_its_return(
    api: FakeApi, tmp_path: Path, what: str, away_s: int
) -> None:
    """No drain runs, so the whole way from the bell to the task has to work again."""
    with _stack(api, tmp_path) as (workers, servers), Producer(servers["redis"].url) as producer:
        producer.send("support", RoomMessage("room", "before"))
        workers.wait_for(1)
        servers[what].kill()
        time.sleep(away_s)
        servers[what].start()
        producer.send("support", RoomMessage("room", "after"))
        wait_until(lambda: workers.record().accepted == 2, "the delivery", BACK_WITHIN_S)


@contextmanager
def _stack(api: FakeApi, folder: Path) -> Iterator[tuple[Stack, dict[str, EmbeddedServer]]]:
    """A worker, which must survive, with the queue and the broker on servers of their own."""
    with ExitStack() as stack:
        servers = {name: stack.enter_context(EmbeddedServer(append_only=True)) for name in ("redis", "broker")}
        settings = channel_settings(api.url, rate_limit=f"{RATE}/1s") | {"PUSHLANE_BROKER_URL": servers["broker"].url}
        workers = Stack(servers["redis"].url, api, folder, settings)
        stack.callback(workers.close)
        worker = workers.worker("-c", "2").ready()
        yield workers, servers
        assert worker.process.poll() is None, worker.log.read_text()[-3000:]
