"""What a worker's log says, as its reader gets it."""

import contextlib
import json
import os
import signal
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
    """All that the worker has printed, on either output."""
    return [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]


def _said(log: Path, words: str) -> bool:
    return any(words in line["event"] for line in _lines(log))


def _events(log: Path, name: str) -> list[dict[str, Any]]:
    return [line for line in _lines(log) if line["event"] == name]


def test_the_lines_tell_what_became_of_each_message(stack: Stack, api: FakeApi, producer: Producer) -> None:
    """A push names its messages; dead letters are a warning with ids, reason and the API's words."""
    worker = stack.worker("-c", "1").ready()
    api.control(reject_text="BAD")
    good = producer.send("support", RoomMessage("r1", "hello"))
    bad = producer.send("support", RoomMessage("r2", "BAD"))
    (dead,) = wait_until(lambda: _events(worker.log, "messages.dead_lettered"), "the dead letter's line")
    drains = wait_until(lambda: _events(worker.log, "drain.done"), "the drain's line")
    assert (dead["level"], dead["message_ids"], dead["reason"]) == ("warning", bad.message_id, "rejected")
    assert "HTTP 400" in dead["detail"]
    pushes = {push["message_ids"]: push["outcome"] for push in _events(worker.log, "push.done")}
    assert pushes == {good.message_id: "delivered", bad.message_id: "rejected"}
    assert sum(drain["delivered"] for drain in drains) == 1
    assert all("ignored" not in line["event"] for line in _lines(worker.log))


def test_all_that_a_worker_prints_is_json(stack: Stack) -> None:
    """Celery's lines too, from a warning at its start to the one about a signal."""
    worker = stack.worker("-c", "1").ready()
    worker.process.terminate()
    wait_until(lambda: _said(worker.log, "Warm shutdown"), "the line about the signal")
    assert "celery.worker.consumer.connection" in {line.get("logger") for line in _lines(worker.log)}


@pytest.mark.long
def test_the_death_of_a_child_is_a_line_of_json(stack: Stack) -> None:
    """Celery's pool has a log of its own, and looks after its children every five seconds."""
    worker = stack.worker("-c", "1").ready()
    pid = worker.process.pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    wait_until(lambda: _said(worker.log, "exited with 'signal 9 (SIGKILL)'"), "the line about the child")


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


def test_a_wait_for_the_rate_is_a_line(redis_url: str, api: FakeApi, tmp_path: Path, producer: Producer) -> None:
    """How long the channel waits, once."""
    settings = channel_settings(api.url, rate_limit="3/60s") | {"PUSHLANE_LOG_FORMAT": "json"}
    with contextlib.closing(Stack(redis_url, api, tmp_path, settings)) as stack:
        worker = stack.worker("-c", "1").ready()
        producer.send_many("support", [RoomMessage(f"r{number}", "hello") for number in range(5)])
        (waits,) = wait_until(lambda: _events(worker.log, "rate.waits"), "the line")
    assert (waits["level"], waits["channel"], stack.record().accepted) == ("info", "support", 3)
    assert 50 < waits["next_s"] <= 60.1


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
