"""Lists of messages through both producers: their order, their chunks and the keys of their elements."""

import pytest
from redis import Redis
from support.channels import register
from support.producers import HELLO, Door, everything, ids_in, texts

from pushlane import IdempotencyConflict, InvalidMessage, QueueFull, RoomMessage

# --- accepting ---------------------------------------------------------------------------------------------------


def test_many_are_accepted_in_their_order_over_all_chunks(door: Door, redis: Redis) -> None:
    """A list keeps its order, and so do a single send before it and one after it."""
    before = door.send("support", HELLO)
    receipts = door.send_many("support", texts(2500))
    after = door.send("support", HELLO)
    everyone = [before, *receipts, after]
    assert [receipt.sequence for receipt in everyone] == list(range(1, 2503))
    assert ids_in(redis) == [receipt.message_id for receipt in everyone]


def test_many_messages_of_many_rooms_keep_each_rooms_order(door: Door, redis: Redis) -> None:
    """Rooms that alternate in one list are told apart."""
    receipts = door.send_many("support", [RoomMessage(f"room {number % 3}", str(number)) for number in range(99)])
    for room in range(3):
        assert ids_in(redis, f"room {room}") == [receipt.message_id for receipt in receipts[room::3]]


def test_no_messages_are_no_error(door: Door, redis: Redis) -> None:
    """An empty list is accepted as it is and changes nothing."""
    before = everything(redis)
    assert door.send_many("support", []) == []
    assert door.send_many("support", [], idempotency_key="key") == []
    assert everything(redis) == before


# --- refusing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        "",
        "x" * 254,
        "ü",
        "a\n",
    ],
)
def test_a_wrong_key_is_refused_for_a_list(door: Door, redis: Redis, key: str) -> None:
    """The key itself is checked, and not only what becomes of it for an element."""
    before = everything(redis)
    with pytest.raises(InvalidMessage, match=r"^idempotency_key: "):
        door.send_many("support", [HELLO], idempotency_key=key)
    assert everything(redis) == before


def test_the_longest_key_of_a_list_leaves_room_for_its_numbers(door: Door, redis: Redis) -> None:
    """A key whose last element key would be too long is refused before the first message is sent."""
    before = everything(redis)
    with pytest.raises(InvalidMessage, match=r"^idempotency_key: "):
        door.send_many("support", texts(11), idempotency_key="x" * 253)
    assert everything(redis) == before
    assert len(door.send_many("support", texts(10), idempotency_key="x" * 253)) == 10


def test_every_message_is_checked_before_the_first_byte_leaves(door: Door, redis: Redis) -> None:
    """The last of 2,500 is wrong: none is enqueued, and the error says which one it is."""
    before = everything(redis)
    messages = [*texts(2499), RoomMessage("room", "x" * 5001)]
    with pytest.raises(InvalidMessage, match=r"^message 2499: text: has 5001 codepoints") as caught:
        door.send_many("support", messages, idempotency_key="key")
    assert (caught.value.index, caught.value.field, caught.value.limit) == (2499, "text", 5000)
    assert caught.value.receipts == ()
    assert everything(redis) == before


def test_a_chunk_is_accepted_as_a_whole_or_not_at_all(door: Door, redis: Redis) -> None:
    """Room for 1,500 of 2,500: the first 1,000 are in, the next 1,000 are not, and the error has the receipts."""
    register(redis, max_queued=1500)
    with pytest.raises(QueueFull) as caught:
        door.send_many("support", texts(2500))
    assert [receipt.sequence for receipt in caught.value.receipts] == list(range(1, 1001))
    assert ids_in(redis) == [receipt.message_id for receipt in caught.value.receipts]
    assert door.send("support", HELLO).sequence == 1001


# --- idempotency -------------------------------------------------------------------------------------------------


def test_each_element_of_a_list_has_a_key_of_its_own(door: Door, redis: Redis) -> None:
    """Element i has the key ``key/i``, so a repeated list, a longer one and a single element meet the same messages."""
    receipts = door.send_many("support", texts(3), idempotency_key="batch")
    again = door.send_many("support", texts(5), idempotency_key="batch")
    assert [receipt.duplicate for receipt in again] == [True, True, True, False, False]
    assert [receipt.message_id for receipt in again[:3]] == [receipt.message_id for receipt in receipts]
    single = door.send("support", texts(2)[1], idempotency_key="batch/1")
    assert (single.message_id, single.duplicate) == (receipts[1].message_id, True)
    assert [receipt.sequence for receipt in again] == [1, 2, 3, 4, 5]
    assert len(ids_in(redis)) == 5


def test_a_conflict_in_a_list_names_its_element_and_what_was_accepted(door: Door, redis: Redis) -> None:
    """The error carries the receipts of the chunks before; of its own chunk nothing is enqueued."""
    taken = door.send("support", HELLO, idempotency_key="batch/1001")
    with pytest.raises(IdempotencyConflict) as caught:
        door.send_many("support", texts(1500), idempotency_key="batch")
    assert (caught.value.key, caught.value.message_id) == ("batch/1001", taken.message_id)
    assert len(caught.value.receipts) == 1000
    assert ids_in(redis) == [taken.message_id, *(receipt.message_id for receipt in caught.value.receipts)]
