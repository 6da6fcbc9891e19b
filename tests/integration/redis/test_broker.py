"""Our connection to the broker, when the broker dies under it."""

from collections.abc import Iterator

import pytest
from kombu import Consumer, Queue
from kombu.exceptions import OperationalError
from kombu.message import Message
from support.ports import free_port

from pushlane_worker.broker import Connection
from pushlane_worker.embedded import EmbeddedServer


@pytest.fixture
def broker() -> Iterator[EmbeddedServer]:
    """One that may die, and has its data when it is back."""
    with EmbeddedServer(append_only=True) as server:
        yield server


def _take(connection: Connection, taken: list[Message]) -> None:
    """Publishes a message, takes it without a word to the broker about it, and waits for more on two channels."""
    work, other = Queue("work"), Queue("other")
    channel = connection.default_channel
    headers = {"task": "pushlane.drain", "id": "a-task"}
    connection.Producer(channel).publish([["support"], {}, {}], headers=headers, routing_key="work", declare=[work])
    Consumer(channel, [work], on_message=taken.append).consume()
    Consumer(connection.channel(), [other], on_message=taken.append).consume()
    connection.drain_events(timeout=5)
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=0.1)


def test_what_was_taken_does_not_keep_a_dead_connection_from_closing(broker: EmbeddedServer) -> None:
    """Nor does it matter what becomes of it later: a worker lives on, and the broker gives it out again."""
    taken: list[Message] = []
    connection = Connection(broker.url)
    _take(connection, taken)
    broker.kill()
    connection.collect()  # as Celery's consumer does
    connection.close()
    taken[0].ack()
    taken[0]._state = "RECEIVED"
    taken[0].reject(requeue=True)


def test_what_was_taken_goes_back_when_a_live_connection_is_closed(broker: EmbeddedServer) -> None:
    """So that a worker that ends leaves its tasks to the others at once."""
    taken: list[Message] = []
    with Connection(broker.url) as connection:
        _take(connection, taken)
    with Connection(broker.url) as connection:
        assert connection.SimpleQueue("work").get(timeout=5).headers["id"] == "a-task"


def test_an_outage_is_reported_once() -> None:
    """Celery would log an error for each try, one a second, for as long as the broker is away."""
    waits: list[float] = []
    connection = Connection(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(OperationalError):
        connection.ensure_connection(lambda _, wait_s: waits.append(wait_s), max_retries=1)
    with pytest.raises(OperationalError):
        connection.ensure_connection(lambda _, wait_s: waits.append(wait_s), 5, interval_start=0, interval_max=0)
    assert waits == [1, 0]
