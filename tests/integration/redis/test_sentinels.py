"""Sentinels that hang or are away, and a broker behind them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from support.channels import register
from support.producers import HELLO, Open
from support.sentinels import Sentinels, sentinels
from support.waiting import wait_until

from pushlane import Producer, QueueUnavailable
from pushlane.address import parse
from pushlane.clients import connect
from pushlane.connections import Sentinels as Asked
from pushlane_worker.broker import Connection
from pushlane_worker.task_message import DRAIN

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    """A primary, its replicas, and three sentinels."""
    with sentinels(tmp_path_factory.mktemp("sentinels")) as made:
        yield made


@pytest.fixture
def watched(shared: Sentinels) -> Sentinels:
    """With the channel ``support`` at whatever server is the primary by now."""
    with connect(shared.url, timeout=2) as client:
        register(client)
    return shared


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_a_sentinel_that_hangs_costs_half_a_second_at_most(watched: Sentinels, open_door: Open, frozen: int) -> None:
    """The next one is asked, and the next time another one first."""
    door = open_door(watched.url)
    watched.sentinels[frozen].freeze()
    try:
        began = time.monotonic()
        door.send("support", HELLO)
        assert time.monotonic() - began < 1.5
    finally:
        watched.sentinels[frozen].resume()


def test_sentinels_that_know_nothing_are_named_in_one_line(watched: Sentinels) -> None:
    """Those of another service, and those that are not there."""
    elsewhere = watched.url.replace("/pushlane/", "/another/")
    for url, why in ((elsewhere, "none knows"), ("redis+sentinel://:secret@127.0.0.1:9/main", "Connection refused")):
        with Producer(url) as producer, pytest.raises(QueueUnavailable, match="no sentinel names the primary") as seen:
            producer.send("support", HELLO)
        assert why in str(seen.value)
        assert "secret" not in str(seen.value)
        assert len(str(seen.value)) < 200


def test_the_broker_is_where_the_sentinels_say(watched: Sentinels) -> None:
    """Also after a failover: what Celery publishes then is in the queue of the new primary."""
    address = parse(watched.url)
    options: Any = {"sentinels": Asked(address, 2.0), "socket_timeout": 5}
    app = Celery(set_as_current=False)
    with Connection(address.for_celery(), transport_options=options) as connection:

        def publish() -> None:
            how = {"queue": "tasks", "connection": connection, "retry": True, "retry_policy": {"max_retries": 50}}
            app.send_task(DRAIN, ("support",), **how)

        with connection.SimpleQueue("tasks") as queue:
            publish()
            queue.get(timeout=30).ack()
        old = watched.primary
        old.kill()
        watched.wait_for_primary_other_than(old)
        publish()
        wait_until(lambda: watched.primary.client.llen("tasks") == 1, "the task on the new primary")
    watched.restart(old)
