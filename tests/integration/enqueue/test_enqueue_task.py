"""`pushlane.enqueue`: a Celery app without this package sends by name, and a real worker takes it."""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from support.processes import broker_of
from support.stack import FakeApi, Stack, Worker, channel_settings, third_party_settings
from support.waiting import wait_until

from pushlane import IdempotencyConflict, Producer, RoomMessage
from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

CANARY = "canary-7f3a"
QUEUE = "pushlane.enqueue"
HELLO = {"room_id": "r", "text": "hello"}


class Sender:
    """A service's own Celery app, with Celery's defaults."""

    def __init__(self, broker: str) -> None:
        self.app = Celery("a-service", broker=broker)

    def send(self, message: object, channel: object = "support", **options: Any) -> str:  # noqa: ANN401 # celery's
        """Sends the task by its name; returns its id."""
        options = {"kwargs": {"channel": channel, "message": message}, "queue": QUEUE} | options
        return str(self.app.send_task("pushlane.enqueue", **options).id)

    def close(self) -> None:
        """Closes its connections."""
        self.app.close()


@pytest.fixture
def sender(redis_url: str) -> Iterator[Sender]:
    """A service that shares the broker."""
    sender = Sender(broker_of(redis_url))
    yield sender
    sender.close()


@pytest.fixture
def stack(redis_url: str, api: FakeApi, tmp_path: Path) -> Iterator[Stack]:
    """Channels of both kinds."""
    settings = channel_settings(api.url, max_queued=5) | third_party_settings(api.url)
    stack = Stack(redis_url, api, tmp_path, settings)
    yield stack
    stack.close()


def ended(worker: Worker, task_id: str, how: str = "succeeded in") -> str:
    """The line of the worker's log that tells how the task ended."""

    def line() -> str | None:
        lines = worker.log.read_text().splitlines()
        return next((line for line in lines if f"pushlane.enqueue[{task_id}] {how}" in line), None)

    return wait_until(line, f"a task to have {how}", 30) or ""


def accepted(redis: Redis, channel: str = "support") -> int:
    """How many messages the channel has ever accepted."""
    return int(redis.hget(f"pushlane:1:{{{channel}}}:counters", "accepted") or 0)


# --- what is right -----------------------------------------------------------------------------------------------


def test_a_service_without_this_package_enqueues_by_name(stack: Stack, sender: Sender, producer: Producer) -> None:
    """Both kinds go through a worker that was started without a word about queues; its result is the receipt."""
    worker = stack.worker("-c", "1").ready()
    first = sender.send({"room_id": "r", "text": "héllo", "sender_eid": "s", "not_before": "2020-01-01T00:00:00Z"})
    second = sender.send({"user_id": "u", "message": {"n": 2**63, "a": []}}, "partner")
    sender.send({"room_id": "later", "text": "x"}, args=("support", {"room_id": "r2", "text": "y"}), kwargs={})
    stack.wait_for(3)
    assert [(entry.text, entry.sender) for entry in stack.api.room("r")] == [("héllo", "s")]
    assert stack.api.texts("u") == ['{"n":9223372036854775808,"a":[]}']
    assert stack.api.texts("r2") == ["y"]
    for task_id, channel in ((first, "support"), (second, "partner")):
        line = ended(worker, task_id)
        assert f"'channel': '{channel}'" in line
        message_id = line.partition("'message_id': '")[2].partition("'")[0]
        assert producer.status(channel, message_id) is not None


def test_one_key_is_one_message_over_python_and_celery(
    stack: Stack, sender: Sender, producer: Producer, redis: Redis
) -> None:
    """With the same body it is the first one again; with another one it is a conflict, whichever way came first."""
    worker = stack.worker("-c", "1").ready()
    first = producer.send("support", RoomMessage("r", "hello"), idempotency_key="order-7")
    line = ended(worker, sender.send({**HELLO, "idempotency_key": "order-7"}))
    assert first.message_id in line
    assert "'duplicate': True" in line
    other = ended(worker, sender.send({**HELLO, "text": "other", "idempotency_key": "order-7"}), "raised expected")
    assert "IdempotencyConflict" in other
    assert "order-7" in other
    ended(worker, sender.send({**HELLO, "idempotency_key": "order-8"}))
    again = producer.send("support", RoomMessage("r", "hello"), idempotency_key="order-8")
    assert again.duplicate
    with pytest.raises(IdempotencyConflict):
        producer.send("support", RoomMessage("r", "other"), idempotency_key="order-8")
    assert accepted(redis) == 2


def test_a_task_that_is_delivered_twice_is_one_message(
    stack: Stack, sender: Sender, redis: Redis, producer: Producer
) -> None:
    """Without a key its id is the key, and no client's: also with a worker between the deliveries that died."""
    worker = stack.worker("-c", "1").ready()
    task_id = str(uuid.uuid4())
    producer.send("support", RoomMessage("r", "hello"), idempotency_key=f"celery-task:{task_id}")
    for _ in range(3):
        sender.send(HELLO, task_id=task_id)
    other = sender.send(HELLO)
    ended(worker, other)
    stack.wait_for(3)
    wait_until(lambda: worker.log.read_text().count(f"{task_id}] succeeded") == 3, "all three to have run")
    assert accepted(redis) == 3


# --- what is wrong -----------------------------------------------------------------------------------------------


def test_bad_input_fails_the_task_with_a_line_that_names_the_field(stack: Stack, sender: Sender, redis: Redis) -> None:
    """Nothing is enqueued, and neither the log nor the error has the text."""
    worker = stack.worker("-c", "1").ready()
    cases: list[tuple[object, object, str]] = [
        ({"room_id": "r", "text": CANARY * 500}, "support", "InvalidMessage('text: has 5500 codepoints"),
        ({"room_id": "r", "txt": CANARY}, "support", "txt: is not a field of a message; did you mean text?"),
        ({"text": CANARY}, "support", "room_id: is missing"),
        ({**HELLO, "text": CANARY, "not_before": "soon"}, "support", "not_before: must be an RFC 3339 time"),
        ({**HELLO, "text": CANARY, "idempotency_key": "ü"}, "support", "idempotency_key: must be"),
        ({"user_id": "u", "message": {"x": CANARY}}, "support", "but the channel is of kind"),
        ([CANARY], "support", "message: must be a JSON object, not an array"),
        (None, "support", "message: must be a JSON object, not null"),
        ({**HELLO, "text": CANARY}, "suport", "UnknownChannel"),
        ({**HELLO, "text": CANARY}, CANARY + " " + CANARY, "channel: must be lower-case"),
        ({**HELLO, "text": CANARY}, None, "channel: must be lower-case"),
    ]
    for message, channel, expected in cases:
        assert expected in ended(worker, sender.send(message, channel), "raised expected")
    strange = {"channel": "support", "message": HELLO, "text": CANARY}
    assert "'text'" in ended(worker, sender.send(None, kwargs=strange), "raised unexpected")
    assert accepted(redis) == 0
    assert CANARY not in worker.log.read_text()


def test_a_full_queue_is_tried_again_until_there_is_room(stack: Stack, sender: Sender, redis: Redis) -> None:
    """The task waits and does not fail; what is accepted is accepted once."""
    stack.api.control(down=503)
    worker = stack.worker("-c", "1").ready()
    ids = [sender.send({"room_id": "r", "text": f"hello #{n + 1}"}) for n in range(8)]
    wait_until(lambda: worker.log.read_text().count("retry: Retry in") >= 3, "three to wait")
    assert "QueueFull" in worker.log.read_text()
    stack.api.control(down=None)
    stack.wait_for(8, 40)
    for task_id in ids:
        ended(worker, task_id)
    assert accepted(redis) == 8


def test_a_queue_that_is_away_is_waited_for(redis_url: str, api: FakeApi, sender: Sender, tmp_path: Path) -> None:
    """With the broker on another server, tasks that come while the queue's Redis hangs are accepted after it."""
    with EmbeddedServer() as queue:
        settings = channel_settings(api.url) | {"PUSHLANE_BROKER_URL": broker_of(redis_url)}
        stack = Stack(queue.url, api, tmp_path, settings)
        try:
            worker = stack.worker("-c", "1").ready()
            queue.pause()
            sender.send(HELLO)
            wait_until(lambda: "retry: Retry in" in worker.log.read_text(), "the task to wait")
            assert "QueueUnavailable" in worker.log.read_text()
            queue.resume()
            assert stack.wait_for(1).accepted == 1
        finally:
            stack.close()


_BODIES = ["[]", "3", "{}", "null", f'"{CANARY}"', "[1,2]", "[[], 3, {}]", "[[], {}, 5]", "[" * 99_999]
_HEADERS: list[dict[str, object]] = [
    {"id": None},
    {"task": ["a"]},
    {"task": CANARY},
    {"eta": []},
    {"eta": CANARY},
    {"expires": {}},
    {"retries": "x"},
    {"root_id": CANARY + "\x1b[2J"},
]
_ITEMS: list[str | bytes] = [
    "",
    "[",
    "3",
    "[]",
    f'{{"{CANARY}": 1}}',
    '{"body": 5, "headers": {}, "properties": {}}',
    b"\xff\x00",
]


def test_a_malformed_task_is_thrown_away_and_the_worker_goes_on(
    stack: Stack, sender: Sender, redis: Redis, broker: Redis
) -> None:
    """It ends Celery's own worker, and goes back to its queue to end the next one. One line tells of each."""
    worker = stack.worker("-c", "1").ready()
    for task in ("pushlane.enqueue", "pushlane.drain"):
        broker.lpush(QUEUE, *(_raw(body, task=task) for body in _BODIES))
        broker.lpush(QUEUE, *(_raw("[[], {}, {}]", **{"task": task} | headers) for headers in _HEADERS))
    broker.lpush(QUEUE, *_ITEMS)
    strange = {"timelimit": "x", "stamped_headers": 5, "stamps": 5, "shadow": [], "group": 5, "argsrepr": "\x1b[2J"}
    broker.lpush(QUEUE, _raw('[["support", {"room_id": "r", "text": "strange"}], {}, {}]', **strange))
    broker.lpush("pushlane", _raw('[["support"], {}, {}]', **strange | {"task": "pushlane.drain", "id": "\x1b[2J"}))
    broker.publish("/0.celery.pidbox", '{"body": 5}')
    broker.publish("/0.celery.pidbox", "3")
    ended(worker, sender.send(HELLO))
    stack.wait_for(2)
    thrown = 2 * (len(_BODIES) + len(_HEADERS)) + len(_ITEMS) + 1
    wait_until(lambda: worker.log.read_text().count("broker.message_thrown_away") >= thrown, "a line for each")
    log = worker.log.read_text()
    assert "Traceback" not in log
    assert CANARY not in log
    assert "\x1b[2J" not in log
    assert accepted(redis) == 2
    wait_until(lambda: broker.hlen("unacked") == 0, "nothing to be left that would come again")


# --- what nobody may see -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def events(app: Celery) -> Iterator[list[dict[str, Any]]]:
    """All that a monitor such as Flower is told meanwhile."""
    seen: list[dict[str, Any]] = []
    stop = threading.Event()

    def listen() -> None:
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": seen.append})
            with receiver.consumer_context() as (_, channel, _):
                subscribed.set()
                while not stop.is_set():
                    with contextlib.suppress(TimeoutError):
                        channel.connection.client.drain_events(timeout=0.2)

    subscribed = threading.Event()
    thread = threading.Thread(target=listen)
    thread.start()
    subscribed.wait(10)
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def test_nobody_is_shown_a_text(stack: Stack, sender: Sender, broker: Redis) -> None:
    """Whatever the sender does: no log line, no event and no answer to `celery inspect` has it."""
    stack.api.control(down=503)
    worker = stack.worker("-c", "1", "-l", "DEBUG").ready()
    secret = {"room_id": "r", "text": CANARY}
    with events(sender.app) as seen:
        done = sender.send(secret, kwargsrepr=CANARY, argsrepr=CANARY)
        positional = sender.send(None, args=("support", secret), kwargs={})
        failed = sender.send({"room_id": CANARY * 99, "text": CANARY})
        for _ in range(4):
            waiting = sender.send(secret)
        ended(worker, done)
        ended(worker, positional)
        ended(worker, failed, "raised expected")
        wait_until(lambda: f"{waiting}] retry" in worker.log.read_text(), "a task to wait")
        scheduled = wait_until(lambda: _asked(sender, "scheduled"), "a task to be scheduled")
        waits: Any = broker.hvals("unacked")
        assert CANARY.encode() not in b"".join(waits), "its retry tells more than its task did"
        sender.app.send_task("pushlane.enqeue", kwargs={"message": secret}, queue=QUEUE)
        sender.send(secret, serializer="pickle")
        sender.send({"__type__": CANARY, "__value__": CANARY})
        broker.lpush(QUEUE, _raw(f'[[], {{"message": "{CANARY}"'))
        wait_until(lambda: worker.log.read_text().count("broker.message_thrown_away") == 4, "what cannot be read", 20)
        wait_until(lambda: {"task-received", "task-succeeded", "task-failed", "task-retried"} <= _types(seen), "events")
    received = [event for event in seen if event["type"] == "task-received" and event["name"] == "pushlane.enqueue"]
    assert "{'channel': 'support', 'message': '…'}" in [event["kwargs"] for event in received]
    assert CANARY not in json.dumps(seen)
    assert CANARY not in json.dumps(scheduled)
    assert CANARY not in worker.log.read_text()


def _types(seen: list[dict[str, Any]]) -> set[str]:
    return {event["type"] for event in seen}


def _asked(sender: Sender, what: str) -> Any:  # noqa: ANN401 # celery has no types
    """What `celery inspect` says."""
    answers = getattr(sender.app.control.inspect(timeout=2), what)() or {}
    return [task for tasks in answers.values() for task in tasks]


def _raw(body: str, **headers: object) -> str:
    """A task as kombu puts it into a list, with headers and a body of the test's own."""
    properties: dict[str, object] = {"delivery_tag": str(uuid.uuid4()), "body_encoding": "utf-8"}
    properties |= {"delivery_info": {"exchange": "", "routing_key": QUEUE}}
    headers = {"task": "pushlane.enqueue", "id": str(uuid.uuid4()), "kwargsrepr": CANARY} | headers
    document = {"body": body, "content-encoding": "utf-8", "content-type": "application/json"}
    return json.dumps(document | {"headers": headers, "properties": properties})
