"""What a worker's log says, as its reader gets it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.stack import FakeApi, Stack, channel_settings
from support.waiting import wait_until

from pushlane import Producer, RoomMessage
from pushlane_worker.embedded import EmbeddedServer


@pytest.fixture
def stack(redis_url: str, api: FakeApi, tmp_path: Path) -> Iterator[Stack]:
    """A worker that logs JSON."""
    stack = Stack(redis_url, api, tmp_path, {**channel_settings(api.url), "PUSHLANE_LOG_FORMAT": "json"})
    yield stack
    stack.close()


def _lines(log: Path) -> list[dict[str, Any]]:
    """The log's lines; Celery's banner, which is no line of the log, goes to standard output and has no brace."""
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def _events(log: Path, name: str) -> list[dict[str, Any]]:
    return [line for line in _lines(log) if line["event"] == name]


def test_all_lines_are_json_and_tell_what_became_of_each_message(
    stack: Stack, api: FakeApi, producer: Producer
) -> None:
    """Celery's too. A push names its messages; dead letters are a warning with ids, reason and the API's words."""
    worker = stack.worker("-c", "1").ready()
    api.control(reject_text="BAD")
    good = producer.send("support", RoomMessage("r1", "hello"))
    bad = producer.send("support", RoomMessage("r2", "BAD"))
    (dead,) = wait_until(lambda: _events(worker.log, "messages.dead_lettered"), "the dead letter's line")
    drains = wait_until(lambda: _events(worker.log, "drain.done"), "the drain's line")
    _, _, working = worker.log.read_text().partition(" ready.")
    assert not [line for line in working.splitlines()[1:] if not line.startswith("{")]
    assert (dead["level"], dead["message_ids"], dead["reason"]) == ("warning", bad.message_id, "rejected")
    assert "HTTP 400" in dead["detail"]
    pushes = {push["message_ids"]: push["outcome"] for push in _events(worker.log, "push.done")}
    assert pushes == {good.message_id: "delivered", bad.message_id: "rejected"}
    assert sum(drain["delivered"] for drain in drains) == 1
    assert all("ignored" not in line["event"] for line in _lines(worker.log))
    assert "celery.worker.strategy" in {line.get("logger") for line in _lines(worker.log)}


def test_a_gate_that_breaks_and_opens_is_a_line_each(stack: Stack, api: FakeApi, producer: Producer) -> None:
    """Why and until when, once for the fleet."""
    worker = stack.worker("-c", "1").ready()
    api.control(down=401)
    producer.send("support", RoomMessage("r1", "hello"))
    (broken,) = wait_until(lambda: _events(worker.log, "gate.broken"), "the line")
    assert (broken["level"], broken["channel"]) == ("warning", "support")
    assert "HTTP 401" in broken["reason"]
    api.control(down=None)
    producer.send("support", RoomMessage("r2", "hello"))
    wait_until(lambda: _events(worker.log, "gate.open"), "the line of its end")
    stack.wait_for(1)
    assert len(_events(worker.log, "gate.broken")) == 1


def test_an_outage_of_redis_is_two_lines_of_the_dispatcher(api: FakeApi, tmp_path: Path) -> None:
    """When it goes and when it is back, however many of its steps fail meanwhile."""
    with EmbeddedServer(append_only=True) as server, EmbeddedServer() as broker:
        settings = {**channel_settings(api.url), "PUSHLANE_LOG_FORMAT": "json", "PUSHLANE_BROKER_URL": broker.url}
        stack = Stack(server.url, api, tmp_path, settings)
        try:
            worker = stack.worker("-c", "1").ready()
            server.kill()
            wait_until(lambda: _events(worker.log, "redis.away"), "the line of its end")
            server.start()
            wait_until(lambda: _events(worker.log, "redis.back"), "the line of its return")
            with Producer(server.url) as producer:
                producer.send("support", RoomMessage("r1", "hello"))
            stack.wait_for(1)
        finally:
            stack.close()
    assert (len(_events(worker.log, "redis.away")), len(_events(worker.log, "redis.back"))) == (1, 1)
