"""Both producers against a real server: what they accept, refuse, repeat and survive."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.crc import key_slot
from support.channels import claim, push, register

from pushlane import (
    AsyncProducer,
    IdempotencyConflict,
    InvalidMessage,
    MessageStatus,
    Producer,
    QueueFull,
    QueueUnavailable,
    Receipt,
    RoomMessage,
    ThirdPartyMessage,
    UnknownChannel,
)
from pushlane.keys import BELL, channel_prefix
from pushlane.record import read_content
from pushlane.scripts import source
from pushlane_worker.embedded import EmbeddedServer, free_port
from pushlane_worker.outcome import Outcome

PREFIX = channel_prefix("support")
HELLO = RoomMessage("room", "hello")
Message = RoomMessage | ThirdPartyMessage


class Door(Protocol):
    """What both producers offer."""

    def send(self, channel: str, message: Message, *, idempotency_key: str | None = None) -> Receipt:
        """Enqueues one."""

    def send_many(
        self, channel: str, messages: Sequence[Message], *, idempotency_key: str | None = None
    ) -> list[Receipt]:
        """Enqueues many."""

    def status(self, channel: str, message_id: str) -> MessageStatus | None:
        """Where it is."""

    def close(self) -> None:
        """Closes its connections."""


class AsyncDoor:
    """An AsyncProducer in a loop of its own, called like a Producer."""

    def __init__(self, redis_url: str | None = None, *, timeout: float = 2.0) -> None:
        self._producer = AsyncProducer(redis_url, timeout=timeout)
        self._runner = asyncio.Runner()

    def send(self, channel: str, message: Message, *, idempotency_key: str | None = None) -> Receipt:
        """Enqueues one."""
        return self._runner.run(self._producer.send(channel, message, idempotency_key=idempotency_key))

    def send_many(
        self, channel: str, messages: Sequence[Message], *, idempotency_key: str | None = None
    ) -> list[Receipt]:
        """Enqueues many."""
        return self._runner.run(self._producer.send_many(channel, messages, idempotency_key=idempotency_key))

    def status(self, channel: str, message_id: str) -> MessageStatus | None:
        """Where it is."""
        return self._runner.run(self._producer.status(channel, message_id))

    def close(self) -> None:
        """Closes its connections and the loop."""
        self._runner.run(self._producer.aclose())
        self._runner.close()


Open = Callable[..., Door]


@pytest.fixture(params=[Producer, AsyncDoor], ids=["Producer", "AsyncProducer"])
def open_door(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Makes producers of one sort, and closes them at the end."""
    doors: list[Door] = []

    def make(redis_url: str | None, timeout: float = 2.0) -> Door:
        doors.append(request.param(redis_url, timeout=timeout))
        return doors[-1]

    yield make
    for door in doors:
        door.close()


@pytest.fixture
def door(open_door: Open, redis_url: str, redis: Redis) -> Door:
    """A producer with the channel ``support`` registered."""
    register(redis)
    return open_door(redis_url)


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    """A server that the test may freeze and kill, with the channel registered for good."""
    with EmbeddedServer(append_only=True) as server, Redis.from_url(server.url) as client:
        register(client)
        yield server


@contextmanager
def memory_limit(redis: Redis) -> Iterator[None]:
    """The server is above its memory limit."""
    redis.config_set("maxmemory", 1)
    try:
        yield
    finally:
        redis.config_set("maxmemory", 0)


def ids_in(redis: Redis, conversation: str = "room") -> list[str]:
    """The message ids of a conversation, oldest first."""
    return [bytes_of(entry).decode() for entry in redis.lrange(f"{PREFIX}conversation:{conversation}", 0, -1)]


def bytes_of(value: object) -> bytes:
    """A reply of a client that does not decode."""
    assert isinstance(value, bytes)
    return value


def everything(redis: Redis) -> dict[bytes, bytes | None]:
    """All keys with what they hold."""
    return {key: redis.dump(key) for key in redis.scan_iter(count=1000)}


def texts(count: int, room: str = "room") -> list[RoomMessage]:
    """So many messages of one room."""
    return [RoomMessage(room, f"text {number}") for number in range(count)]


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


def test_the_address_may_come_from_the_environment(
    open_door: Open, redis_url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an argument PUSHLANE_REDIS_URL counts; without both the first line says what is missing."""
    register(redis)
    monkeypatch.setenv("PUSHLANE_REDIS_URL", redis_url)
    assert open_door(None).send("support", HELLO).sequence == 1
    monkeypatch.delenv("PUSHLANE_REDIS_URL")
    with pytest.raises(QueueUnavailable, match="pass redis_url or set PUSHLANE_REDIS_URL"):
        open_door(None)


def test_answers_may_be_decoded_by_the_address(open_door: Open, redis_url: str, redis: Redis) -> None:
    """An address that a service shares with other code may ask for text in place of bytes."""
    register(redis)
    decoding = open_door(f"{redis_url}?decode_responses=True")
    receipt = decoding.send("support", HELLO)
    assert receipt.state == "queued"


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


# --- full --------------------------------------------------------------------------------------------------------


def test_a_full_channel_refuses_and_says_when_to_come_back(door: Door, redis: Redis) -> None:
    """MAX_QUEUED is exact, repeats of accepted messages are still answered, and what leaves makes room."""
    register(redis, max_queued=3)
    first = door.send("support", HELLO, idempotency_key="first")
    door.send_many("support", texts(2))
    with pytest.raises(QueueFull, match="3 messages wait in it") as caught:
        door.send("support", HELLO)
    assert caught.value.channel == "support"
    assert caught.value.retry_after_s > 0
    assert door.send("support", HELLO, idempotency_key="first").message_id == first.message_id
    assert len(ids_in(redis)) == 3
    push(redis_url=url_of(redis))
    assert door.send("support", HELLO).sequence == 4


def test_a_chunk_is_accepted_as_a_whole_or_not_at_all(door: Door, redis: Redis) -> None:
    """Room for 1,500 of 2,500: the first 1,000 are in, the next 1,000 are not, and the error has the receipts."""
    register(redis, max_queued=1500)
    with pytest.raises(QueueFull) as caught:
        door.send_many("support", texts(2500))
    assert [receipt.sequence for receipt in caught.value.receipts] == list(range(1, 1001))
    assert ids_in(redis) == [receipt.message_id for receipt in caught.value.receipts]
    assert door.send("support", HELLO).sequence == 1001


def test_the_memory_limit_is_a_full_queue_and_leaves_nothing_half_enqueued(door: Door, redis: Redis) -> None:
    """Redis refuses the whole script: what was there is there, and no part of the new ones."""
    door.send("support", HELLO)
    before = everything(redis)
    with memory_limit(redis):
        for call in (
            lambda: door.send("support", HELLO),
            lambda: door.send_many("support", texts(1000)),
        ):
            with pytest.raises(QueueFull, match="Redis is at its memory limit") as caught:
                call()
            assert caught.value.receipts == ()
        assert everything(redis) == before
    assert door.send("support", HELLO).sequence == 2


def test_at_the_memory_limit_the_queue_still_drains_and_answers(door: Door, redis: Redis) -> None:
    """What frees memory may run when there is none, so a full Redis is a matter of time."""
    receipt = door.send("support", HELLO)
    with memory_limit(redis):
        assert len(push(url_of(redis))) == 1
        status = door.status("support", receipt.message_id)
        assert status is not None
        assert status.state == "delivered"


def test_a_fresh_producer_meets_the_memory_limit_the_same_way(door: Door, open_door: Open, redis: Redis) -> None:
    """Also when its script has to be loaded first."""
    door.send("support", HELLO)
    redis.script_flush()
    with memory_limit(redis), pytest.raises(QueueFull):
        open_door(url_of(redis)).send("support", HELLO)


# --- idempotency -------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("retention_ms", "idempotency_ms", "at_least", "at_most"),
    [(1000, 60_000, 30_000, 60_000), (60_000, 1000, 30_000, 60_000)],
)
def test_a_delivered_message_is_kept_for_the_longer_of_retention_and_window(
    door: Door, redis: Redis, retention_ms: int, idempotency_ms: int, at_least: int, at_most: int
) -> None:
    """Its record is both its status and the memory of its key."""
    register(redis, retention_ms=retention_ms, idempotency_ms=idempotency_ms)
    receipt = door.send("support", HELLO)
    push(url_of(redis))
    assert at_least < redis.pttl(f"{PREFIX}message:{receipt.message_id}") <= at_most


def test_after_its_window_a_key_is_free_again(door: Door, redis: Redis) -> None:
    """The same order number a day later is a new message."""
    register(redis, retention_ms=1, idempotency_ms=1)
    first = door.send("support", HELLO, idempotency_key="order 7")
    push(url_of(redis))
    redis.delete(f"{PREFIX}message:{first.message_id}")  # as its expiry does
    second = door.send("support", RoomMessage("room", "other"), idempotency_key="order 7")
    assert (second.sequence, second.duplicate) == (2, False)


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


# --- status ------------------------------------------------------------------------------------------------------


def test_a_status_follows_the_message(door: Door, redis: Redis) -> None:
    """Queued, in flight, delivered: with times of the server's clock, and never the text."""
    receipt = door.send("support", RoomMessage("room", "a secret text"))
    queued = door.status("support", receipt.message_id)
    assert queued is not None
    assert (queued.message_id, queued.channel, queued.conversation) == (receipt.message_id, "support", "room")
    assert (queued.state, queued.reason, queued.detail, queued.attempts) == ("queued", None, None, 0)
    assert (queued.maybe_delivered, queued.due_at, queued.final_at, queued.last_push) == (False, None, None, None)
    assert abs(datetime.now(UTC) - queued.accepted_at) < timedelta(minutes=1)
    claim(url_of(redis))
    in_flight = door.status("support", receipt.message_id)
    assert in_flight is not None
    assert in_flight.state == "in_flight"
    assert "secret" not in repr(queued) + repr(in_flight)


def test_a_status_says_when_a_message_was_delivered(door: Door, redis: Redis) -> None:
    """The acceptance stays, the end and the last push are known."""
    receipt = door.send("support", HELLO)
    push(url_of(redis))
    status = door.status("support", receipt.message_id)
    assert status is not None
    assert (status.state, status.conversation, status.reason) == ("delivered", "room", None)
    assert status.final_at is not None
    assert status.final_at == status.last_push
    assert status.accepted_at <= status.final_at


def test_a_status_says_why_a_message_is_dead(door: Door, redis: Redis) -> None:
    """The reason, the API's own words and the attempts are there for whoever looks into the dead letters."""
    receipt = door.send("support", HELLO)
    push(url_of(redis), Outcome.UNKNOWN, dead="1", reason="u")
    status = door.status("support", receipt.message_id)
    assert status is not None
    assert (status.state, status.reason, status.detail) == ("dead", "unknown", "said so")
    assert (status.attempts, status.maybe_delivered) == (1, True)


@pytest.mark.parametrize("message_id", ["unknown", "", "a b", "ü", "{x}"])
def test_an_unknown_id_has_no_status(door: Door, message_id: str) -> None:
    """Neither an id that nobody gave out nor one in another channel is an error."""
    assert door.status("support", message_id) is None
    assert door.status("elsewhere", message_id) is None


# --- bytes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", ["{sales}", "}{", "a:b:c", 'quo"te', "a b", "%s\\n", "ü", "*", "[1]", "x" * 256])
def test_a_rooms_name_changes_neither_its_slot_nor_itself(door: Door, redis: Redis, room: str) -> None:
    """A brace in an id does not move a key to another slot of a cluster, and a claim gives the id back as it was."""
    receipt = door.send("support", RoomMessage(room, "hello"))
    assert ids_in(redis, room) == [receipt.message_id]
    keys = [key for key in redis.scan_iter() if key != BELL.encode()]
    assert {key_slot(key) for key in keys} == {key_slot(b"{support}")}
    assert [each.conversation.decode() for each in push(url_of(redis))] == [room]
    status = door.status("support", receipt.message_id)
    assert status is not None
    assert (status.conversation, status.state) == (room, "delivered")


def test_rooms_that_look_alike_are_not_one(door: Door, redis: Redis) -> None:
    """Blanks, case and Unicode forms are part of an id."""
    rooms = ["room", "Room", "room ", " room", "ro\u00f6m", "roo\u0308m"]
    door.send_many("support", [RoomMessage(room, "hello") for room in rooms])
    assert all(len(ids_in(redis, room)) == 1 for room in rooms)


@pytest.mark.parametrize(
    "value",
    [
        {"id": 12_345_678_901_234_567_890, "small": -(2**63), "float": 1.0, "tiny": 1e-320},
        {"empty": [], "object": {}, "null": None, "mixed": [[], {}, [None]]},
        {"": "", "\0": "\0\r\n", "ü": "\u2028\ufeff", "quotes": "\"'\\"},
        {"lua": "]] .. os.exit() --", "format": "%d %s %%", "tag": "{support}"},
    ],
)
def test_an_object_passes_the_scripts_byte_for_byte(
    open_door: Open, redis: Redis, redis_url: str, value: dict[str, Any]
) -> None:
    """F66: 64-bit ids, floats and empty arrays, which Lua's own JSON would damage, come out as they went in."""
    register(redis, kind="third_party", batch_limit=1)
    message = ThirdPartyMessage("user", value)
    open_door(redis_url).send("support", message)
    body = only_body(redis_url)
    assert body == message.body
    assert json.dumps(json.loads(body)) == json.dumps(value)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
@given(text=st.text(min_size=1))
def test_a_text_is_refused_or_arrives_intact(redis: Redis, redis_url: str, text: str) -> None:
    """F65: no text gets half-way: what a producer accepts, a worker claims byte for byte."""
    redis.flushdb()
    register(redis)
    try:
        message = RoomMessage("room", text)
    except InvalidMessage:
        assert any("\ud800" <= character <= "\udfff" for character in text)
        return
    with Producer(redis_url) as producer:
        producer.send("support", message)
    assert json.loads(only_body(redis_url)) == text


def url_of(redis: Redis) -> str:
    """The address of the server that this client is connected to."""
    options = redis.get_connection_kwargs()
    return f"redis://{options['host']}:{options['port']}/{options['db']}"


def only_body(redis_url: str) -> bytes:
    """The body of the only message that is ready."""
    (claimed,) = push(redis_url)
    (record,) = claimed.records
    return read_content(record)[2]


# --- trouble -----------------------------------------------------------------------------------------------------


def test_a_closed_port_is_unavailable_at_once(open_door: Open) -> None:
    """Nothing was sent, so the error claims nothing about a message; it comes well within the timeout."""
    nowhere = open_door(f"redis://127.0.0.1:{free_port()}/0", timeout=5.0)
    started = time.monotonic()
    for call in (
        lambda: nowhere.send("support", HELLO),
        lambda: nowhere.send_many("support", [HELLO]),
        lambda: nowhere.status("support", "id"),
    ):
        with pytest.raises(QueueUnavailable) as caught:
            call()
        assert caught.value.message_id is None
    assert time.monotonic() - started < 2


def test_a_frozen_server_is_unavailable_within_the_timeout(open_door: Open, own_server: EmbeddedServer) -> None:
    """A server that accepts connections and says nothing holds no caller longer than the timeout, also a new one."""
    warm, cold = open_door(own_server.url, timeout=0.3), open_door(own_server.url, timeout=0.3)
    warm.send("support", HELLO)
    own_server.pause()
    try:
        for door in (warm, cold):
            started = time.monotonic()
            with pytest.raises(QueueUnavailable):
                door.send("support", HELLO)
            assert time.monotonic() - started < 1
    finally:
        own_server.resume()
    assert warm.send("support", HELLO).state == "queued"
    assert cold.send("support", HELLO).state == "queued"


def test_a_call_without_an_answer_can_be_repeated_with_its_key(open_door: Open, own_server: EmbeddedServer) -> None:
    """F63: the frozen server takes the message once it goes on; the repeat meets it and does not make it two."""
    door = open_door(own_server.url, timeout=0.3)
    first = door.send("support", HELLO)
    own_server.pause()
    try:
        with pytest.raises(QueueUnavailable, match="perhaps accepted: repeat with the same key") as caught:
            door.send("support", HELLO, idempotency_key="order 7")
    finally:
        own_server.resume()
    receipt = door.send("support", HELLO, idempotency_key="order 7")
    assert receipt.message_id == caught.value.message_id
    with Redis.from_url(own_server.url) as redis:
        assert ids_in(redis) == [first.message_id, receipt.message_id]


def test_after_a_restart_of_the_server_the_next_send_works(open_door: Open, own_server: EmbeddedServer) -> None:
    """The pooled connection is dead and the scripts are forgotten; the caller notices neither."""
    door = open_door(own_server.url)
    assert door.send("support", HELLO).sequence == 1
    own_server.restart()
    assert door.send("support", HELLO).sequence == 2
    own_server.restart()
    assert [receipt.sequence for receipt in door.send_many("support", texts(2))] == [3, 4]


def test_a_server_that_is_down_and_comes_back_is_used_again(open_door: Open, own_server: EmbeddedServer) -> None:
    """An error leaves a producer usable."""
    door = open_door(own_server.url)
    door.send("support", HELLO)
    own_server.kill()
    with pytest.raises(QueueUnavailable):
        door.send("support", HELLO)
    own_server.start()
    assert door.send("support", HELLO).sequence == 2


def test_scripts_that_the_server_forgot_are_loaded_again(door: Door, redis: Redis) -> None:
    """SCRIPT FLUSH, as a failover is, costs a round trip and no message."""
    receipt = door.send("support", HELLO)
    redis.script_flush()
    assert door.send("support", HELLO).sequence == 2
    redis.script_flush()
    assert door.status("support", receipt.message_id) is not None


def test_a_closed_producer_has_left_no_connection(redis: Redis, redis_url: str) -> None:
    """Both context managers give back what they opened."""
    register(redis)
    before = redis.info("clients")["connected_clients"]
    with Producer(redis_url) as producer:
        producer.send("support", HELLO)

    async def send() -> None:
        async with AsyncProducer(redis_url) as producer:
            await producer.send("support", HELLO)

    asyncio.run(send())
    assert redis.info("clients")["connected_clients"] == before


# --- threads, processes and tasks --------------------------------------------------------------------------------


def test_threads_may_share_a_producer(redis: Redis, redis_url: str) -> None:
    """8 threads send 200 each: every number is given once, and each thread's own order is kept."""
    register(redis)
    start = threading.Barrier(8)
    with Producer(redis_url) as producer, ThreadPoolExecutor(8) as pool:

        def send(thread: int) -> list[int]:
            start.wait()
            return [producer.send("support", RoomMessage("room", f"{thread} {n}")).sequence for n in range(200)]

        sequences = list(pool.map(send, range(8)))
    assert sorted(number for own in sequences for number in own) == list(range(1, 1601))
    assert all(own == sorted(own) for own in sequences)
    bodies = redis.mget([f"{PREFIX}message:{message_id}" for message_id in ids_in(redis)])
    sent = [json.loads(read_content(bytes_of(record))[2]).split() for record in bodies]
    for thread in range(8):
        assert [int(n) for own, n in sent if own == str(thread)] == list(range(200))


async def test_tasks_may_share_an_async_producer(redis: Redis, redis_url: str) -> None:
    """50 tasks at once: every number is given once."""
    register(redis)
    async with AsyncProducer(redis_url) as producer:
        receipts = await asyncio.gather(*(producer.send("support", message) for message in texts(50)))
    assert sorted(receipt.sequence for receipt in receipts) == list(range(1, 51))
    assert len(ids_in(redis)) == 50


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_may_go_on_with_its_parents_producer(redis: Redis, redis_url: str) -> None:
    """A web server that forks after the first send: parent and child send at once, and get their own answers."""
    register(redis)
    with Producer(redis_url) as producer:
        producer.send("support", HELLO)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            # Whatever happens, nothing of the test runner's may run in the child.
            try:
                numbers = [producer.send("support", HELLO).sequence for _ in range(100)]
                os.write(writer, json.dumps(numbers).encode())
            finally:
                os._exit(0)
        os.close(writer)
        own = [producer.send("support", HELLO).sequence for _ in range(100)]
        with os.fdopen(reader, "rb") as pipe:
            others = json.loads(pipe.read() or b"[]")
        os.waitpid(child, 0)
        after = producer.send("support", HELLO).sequence
    assert (len(own), len(others)) == (100, 100)
    assert sorted([1, *own, *others, after]) == list(range(1, 203))


def test_one_id_twice_in_a_call_is_one_message(redis: Redis) -> None:
    """The script itself holds it, for callers whose elements have keys of their own."""
    register(redis)
    script = redis.register_script(source("enqueue"))
    message: tuple[str, ...] = ("id", "room", "", '"hello"', "f" * 24)
    keys = [channel_prefix("support"), BELL]
    reply: Any = script(keys=keys, args=["", "cinnox", *message, *message])
    assert reply == [0, 1, b"q", 0, 1, b"q", 1]
    assert redis.llen(f"{channel_prefix('support')}conversation:room") == 1
    other = (*message[:4], "0" * 24)
    assert script(keys=keys, args=["", "cinnox", "new", *message[1:], "new", *other[1:]]) == [3, 1]
    assert redis.exists(f"{channel_prefix('support')}message:new") == 0
