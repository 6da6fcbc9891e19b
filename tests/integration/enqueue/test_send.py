"""Both producers against a real server: what they accept and refuse."""

import pytest
from redis import Redis
from support.channels import register
from support.ports import free_port
from support.producers import HELLO, PREFIX, Door, Open, everything, ids_in

from pushlane import InvalidMessage, Receipt, RoomMessage, ThirdPartyMessage, UnknownChannel
from pushlane.keys import BELL

# --- accepting ---------------------------------------------------------------------------------------------------


def test_a_receipt_says_what_was_accepted(door: Door, redis: Redis) -> None:
    """Each message has an id of its own and the next number of its channel, whatever its room."""
    first = door.send("support", HELLO)
    second = door.send("support", RoomMessage("other", "hello"))
    assert first == Receipt(first.message_id, "support", "room", 1, "queued", duplicate=False)
    assert second == Receipt(second.message_id, "support", "other", 2, "queued", duplicate=False)
    assert first.message_id != second.message_id
    assert ids_in(redis) == [first.message_id]


def test_an_accepted_message_rings_for_its_channel_once(door: Door, redis: Redis) -> None:
    """The first message wakes a worker; the next ones find the bell rung."""
    register(redis, "sales")
    for _ in range(3):
        door.send("support", HELLO)
    door.send("sales", HELLO)
    assert sorted(redis.zrange(BELL, 0, -1)) == [b"sales", b"support"]


# --- refusing ----------------------------------------------------------------------------------------------------


def test_a_channel_that_nobody_registered_is_refused(door: Door, redis: Redis) -> None:
    """A typo must not become a queue that nobody drains; the error says what to do."""
    before = everything(redis)
    for call in (
        lambda: door.send("suport", HELLO),
        lambda: door.send_many("suport", [HELLO]),
    ):
        with pytest.raises(UnknownChannel, match="pushlane channel register suport") as caught:
            call()
        assert caught.value.channel == "suport"
    assert everything(redis) == before
    register(redis, "suport")
    assert door.send("suport", HELLO).sequence == 1


def test_a_channel_that_vanished_since_is_refused_too(door: Door, redis: Redis) -> None:
    """What a producer remembers of a channel's limits does not let a message into a queue without a channel."""
    door.send("support", HELLO)
    redis.delete(f"{PREFIX}channel")
    with pytest.raises(UnknownChannel):
        door.send("support", HELLO)
    assert len(ids_in(redis)) == 1


@pytest.mark.parametrize("name", ["", "Support", "sup{port}", "sup:port", "a" * 33, "a__b"])
def test_what_can_not_be_a_channel_is_refused_before_redis_is_asked(open_door: Open, name: str) -> None:
    """No name of a caller's gets into a key unchecked."""
    nowhere = open_door(f"redis://127.0.0.1:{free_port()}/0")
    for call in (
        lambda: nowhere.send(name, HELLO),
        lambda: nowhere.send_many(name, [HELLO]),
        lambda: nowhere.status(name, "id"),
    ):
        with pytest.raises(InvalidMessage) as caught:
            call()
        assert caught.value.field == "channel"


def test_a_message_of_the_wrong_kind_is_refused(door: Door, redis: Redis) -> None:
    """A user's message in a room's channel could never be pushed."""
    before = everything(redis)
    with pytest.raises(InvalidMessage, match="of kind 'cinnox'"):
        door.send("support", ThirdPartyMessage("user", {"a": 1}))
    with pytest.raises(InvalidMessage, match="of kind 'cinnox'"):
        door.send_many("support", [HELLO, ThirdPartyMessage("user", {"a": 1})])
    assert everything(redis) == before


def test_the_server_refuses_a_kind_that_changed_since_the_producer_looked(door: Door, redis: Redis) -> None:
    """The check that counts is made with the write, not with what a producer remembers."""
    door.send("support", HELLO)
    register(redis, kind="third_party")
    with pytest.raises(InvalidMessage, match="which is of kind 'third_party' now"):
        door.send("support", HELLO)
    assert len(ids_in(redis)) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "ü", "a\n"])
def test_a_wrong_key_is_refused(door: Door, redis: Redis, key: str) -> None:
    """An empty key is not silently no key."""
    before = everything(redis)
    with pytest.raises(InvalidMessage, match=r"^idempotency_key: "):
        door.send("support", HELLO, idempotency_key=key)
    assert everything(redis) == before
