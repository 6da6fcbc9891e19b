"""Both producers against a real server: what they repeat, and what is a conflict."""

from typing import Any

import pytest
from redis import Redis
from support.channels import claim, push, register
from support.every_node import url_of
from support.producers import HELLO, PREFIX, Door, everything, ids_in
from support.waiting import wait_until

from pushlane import IdempotencyConflict, Receipt, RoomMessage
from pushlane.keys import channel_prefix
from pushlane.message_record import write_content
from pushlane.outcome import Outcome
from pushlane.scripts import Script

ENQUEUE = Script("enqueue")


def test_the_same_key_and_message_is_one_message_with_the_first_receipt(door: Door, redis: Redis) -> None:
    """F63: a repeat enqueues nothing and is answered like the first call, but for being a duplicate."""
    first = door.send("support", HELLO, idempotency_key="order 7")
    before = everything(redis)
    second = door.send("support", RoomMessage("room", "hello"), idempotency_key="order 7")
    assert second == Receipt(first.message_id, "support", "room", first.sequence, "queued", duplicate=True)
    assert not first.duplicate
    assert ids_in(redis) == [first.message_id]
    assert everything(redis) == before


@pytest.mark.parametrize(
    "other",
    [
        RoomMessage("room", "other"),
        RoomMessage("other", "hello"),
        RoomMessage("room", "hello", sender_eid="eid"),
        RoomMessage("room", "hello", receiver_eid="eid"),
    ],
)
def test_the_same_key_for_another_message_is_a_conflict(door: Door, redis: Redis, other: RoomMessage) -> None:
    """F63: a key that was used by mistake must not swallow a message."""
    first = door.send("support", HELLO, idempotency_key="order 7")
    with pytest.raises(IdempotencyConflict) as caught:
        door.send("support", other, idempotency_key="order 7")
    assert (caught.value.key, caught.value.message_id) == ("order 7", first.message_id)
    assert ids_in(redis) == [first.message_id]
    assert ids_in(redis, "other") == []


def test_sender_and_receiver_do_not_run_together(door: Door) -> None:
    """A fingerprint knows where one part ends: moving a character from one to the next makes another message."""
    door.send("support", RoomMessage("a", "hi", sender_eid="bc"), idempotency_key="k")
    with pytest.raises(IdempotencyConflict):
        door.send("support", RoomMessage("ab", "hi", sender_eid="c"), idempotency_key="k")


def test_a_key_belongs_to_its_channel(door: Door, redis: Redis) -> None:
    """Two channels may see the same order number."""
    register(redis, "sales")
    first = door.send("support", HELLO, idempotency_key="order 7")
    second = door.send("sales", RoomMessage("room", "other"), idempotency_key="order 7")
    assert not second.duplicate
    assert first.message_id != second.message_id


@pytest.mark.parametrize(
    ("outcome", "step", "state"),
    [(Outcome.DELIVERED, {}, "delivered"), (Outcome.REJECTED, {"dead": "1", "reason": "r"}, "dead")],
)
def test_a_key_is_remembered_after_its_message_left_the_queue(
    door: Door, redis: Redis, outcome: Outcome, step: dict[str, str], state: str
) -> None:
    """F63: a late repeat delivers nothing again, and a late conflict is still one."""
    first = door.send("support", HELLO, idempotency_key="order 7")
    assert len(push(url_of(redis), outcome, **step)) == 1
    again = door.send("support", HELLO, idempotency_key="order 7")
    assert again == Receipt(first.message_id, "support", "room", first.sequence, state, duplicate=True)
    with pytest.raises(IdempotencyConflict):
        door.send("support", RoomMessage("room", "other"), idempotency_key="order 7")
    assert ids_in(redis) == []
    assert claim(url_of(redis)) == []


@pytest.mark.parametrize(("retention_ms", "idempotency_ms"), [(1000, 60_000), (60_000, 1000)])
def test_a_delivered_message_is_kept_for_the_longer_of_retention_and_window(
    door: Door, redis: Redis, retention_ms: int, idempotency_ms: int
) -> None:
    """Its entry is both its status and the memory of its key."""
    register(redis, retention_ms=retention_ms, idempotency_ms=idempotency_ms)
    receipt = door.send("support", HELLO)
    push(url_of(redis))
    assert redis.exists(f"{PREFIX}message:{receipt.message_id}") == 0
    (kept,) = redis.keys(f"{PREFIX}tombstones:*")
    assert redis.hkeys(kept) == [receipt.message_id.encode()]
    assert 30_000 < redis.pttl(kept) <= 60_000


def test_after_its_window_a_key_is_free_again(door: Door, redis: Redis) -> None:
    """The same order number a day later is a new message."""
    register(redis, retention_ms=1, idempotency_ms=1)
    first = door.send("support", HELLO, idempotency_key="order 7")
    push(url_of(redis))
    wait_until(lambda: door.status("support", first.message_id) is None, "the window to be over")
    second = door.send("support", RoomMessage("room", "other"), idempotency_key="order 7")
    assert (second.sequence, second.duplicate) == (2, False)


def test_a_client_may_repeat_a_call_whose_ids_it_drew(redis: Redis) -> None:
    """As it does after a lost reply, also if a worker was faster: nothing is enqueued twice."""
    register(redis)
    content = write_content(b"f" * 24, b"room", b"", b'"hello"')
    args: list[Any] = ["", "cinnox", 1, "one", "room", content, "", "two", "room", content, ""]
    prefix = channel_prefix("support")
    assert ENQUEUE.call(redis, prefix, *args) == [0, 1, b"q", 0, 2, b"q", 0]
    assert ENQUEUE.call(redis, prefix, *args) == [0, 1, b"q", 1, 2, b"q", 1]
    push(url_of(redis))
    assert ENQUEUE.call(redis, prefix, *args) == [0, 1, b"d", 1, 2, b"d", 1]
    assert ids_in(redis) == []


def test_one_id_twice_in_a_call_is_one_message(redis: Redis) -> None:
    """The script itself holds it, for callers whose elements have keys of their own."""
    register(redis)
    message, other = (
        ("room", write_content(fingerprint * 24, b"room", b"", b'"hello"'), "") for fingerprint in (b"f", b"0")
    )
    prefix = channel_prefix("support")
    reply: Any = ENQUEUE.call(redis, prefix, "", "cinnox", 0, "id", *message, "id", *message)
    assert reply == [0, 1, b"q", 0, 1, b"q", 1]
    assert redis.llen(f"{channel_prefix('support')}conversation:room") == 1
    assert ENQUEUE.call(redis, prefix, "", "cinnox", 0, "new", *message, "new", *other) == [3, 1]
    assert redis.exists(f"{channel_prefix('support')}message:new") == 0
