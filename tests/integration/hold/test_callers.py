"""Holds as a caller, an operator and a worker see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.holds import DEAD_LETTER, HELD, end_of
from support.queue import Queue
from support.stack import FakeApi, Stack, channel_settings
from support.waiting import wait_until

from pushlane import Hold, Producer, RoomMessage
from pushlane.operators.inspection import Inspector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

    from pushlane.hold import Verdict


@pytest.fixture
def stack(redis_url: str, api: FakeApi, tmp_path: Path) -> Iterator[Stack]:
    """A worker that pushes to the fake API."""
    stack = Stack(redis_url, api, tmp_path, channel_settings(api.url))
    try:
        stack.worker("-c", "1").ready()
        yield stack
    finally:
        stack.close()


def test_a_held_message_says_so_with_its_key_and_its_end(redis: Redis, redis_url: str, producer: Producer) -> None:
    """Its receipt, its status, and what an operator sees of its room."""
    Queue(redis)
    receipt = producer.send("support", RoomMessage("a", "hi"), hold=Hold("k", 90), idempotency_key="once")
    assert receipt.state == "held"
    status = producer.status("support", receipt.message_id)
    assert status is not None
    assert (status.state, status.reason, status.attempts) == ("held", None, 0)
    assert status.detail == "waiting for a decision on k"
    assert status.due_at is not None
    assert (status.due_at - status.accepted_at).total_seconds() == 90
    again = producer.send("support", RoomMessage("a", "hi"), hold=Hold("k", 90), idempotency_key="once")
    assert (again.state, again.duplicate) == ("held", True)
    with Inspector(redis_url) as inspector:
        (one,) = inspector.blocked("support", 10)
        overview = inspector.overview("support")
    assert (one.state, one.next_try, one.why, one.behind) == ("held", status.due_at, HELD, 0)
    assert (one.message_id, one.attempts, one.since) == (receipt.message_id, 0, status.accepted_at)
    assert overview is not None
    assert (overview.held, overview.blocked, overview.depth, overview.ready) == (1, 1, 1, 0)
    assert producer.decide("support", "k", "allow") == "allow"
    released = producer.status("support", receipt.message_id)
    assert released is not None
    assert (released.state, released.due_at, released.detail) == ("queued", None, None)
    with Inspector(redis_url) as inspector:
        assert list(inspector.blocked("support", 10)) == []


def test_a_decision_of_more_than_a_call_takes_is_whole(redis: Redis, producer: Producer) -> None:
    """500 messages of one key are decided when `decide` returns."""
    queue = Queue(redis)
    queue.enqueue("a", *(f"m{n}" for n in range(500)), hold=DEAD_LETTER)
    assert producer.decide("support", "k", "discard") == "forbid"
    assert queue.counters()["depth"] == 0
    assert producer.decide("support", "k", "allow") == "forbid"
    assert end_of(queue, "m499") == ("dead", "forbidden")
    assert queue.detail("m499") == "the decision was discard"


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("allow", ["secret", "behind"]),
        ("rewrite", ["***", "behind"]),
        ("forbid", ["behind"]),
        ("discard", ["behind"]),
    ],
)
def test_a_worker_pushes_what_the_decision_left(
    stack: Stack, producer: Producer, verdict: Verdict, expected: list[str]
) -> None:
    """With a real worker: the room waits while another one does not, and goes on at once."""
    held = producer.send("support", RoomMessage("r", "secret"), hold=Hold("k", 60))
    producer.send("support", RoomMessage("r", "behind"))
    producer.send("support", RoomMessage("other", "hello"))
    stack.wait_for(1)
    wait_until(lambda: stack.depth() == 2, "the other room to be settled")
    assert (stack.api.rooms(), stack.state(producer, held)) == ({"other": 1}, "held")
    message = RoomMessage("-", "***") if verdict == "rewrite" else None
    producer.decide("support", "k", verdict, message=message, reason="why not")
    wait_until(lambda: stack.depth() == 0, "the room to go on")
    assert stack.api.texts("r") == expected
    status = producer.status("support", held.message_id)
    assert status is not None
    if verdict in {"forbid", "discard"}:
        assert (status.state, status.reason, status.detail) == ("dead", "forbidden", "why not")
    else:
        assert (status.state, status.attempts) == ("delivered", 1)


def test_a_worker_ends_holds(stack: Stack, producer: Producer) -> None:
    """With a real worker: soon after the timeout one room gets its message, the other a dead letter."""
    released = producer.send("support", RoomMessage("r", "released"), hold=Hold("k", 0.5, on_timeout="release"))
    dead = producer.send("support", RoomMessage("d", "dead"), hold=Hold("k", 0.5))
    producer.send_many("support", [RoomMessage("r", "behind"), RoomMessage("d", "behind")])
    stack.wait_for(3, 12)
    assert (stack.api.texts("r"), stack.api.texts("d")) == (["released", "behind"], ["behind"])
    stack.wait_for_state(producer, released, "delivered")
    status = producer.status("support", dead.message_id)
    assert status is not None
    assert (status.state, status.reason) == ("dead", "expired")
