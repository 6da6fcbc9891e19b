"""Ids, objects and texts from both producers through the scripts: every byte as it went in."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.crc import key_slot
from support.channels import push, register
from support.every_node import url_of
from support.producers import Door, Open, ids_in

from pushlane import InvalidMessage, Producer, RoomMessage, ThirdPartyMessage
from pushlane.keys import BELL, CHANNELS
from pushlane.message_record import read_content


@pytest.mark.parametrize("room", ["{sales}", "}{", "a:b:c", 'quo"te', "a b", "%s\\n", "ü", "*", "[1]", "x" * 256])
def test_a_rooms_name_changes_neither_its_slot_nor_itself(door: Door, redis: Redis, room: str) -> None:
    """A brace in an id does not move a key to another slot of a cluster, and a claim gives the id back as it was."""
    receipt = door.send("support", RoomMessage(room, "hello"))
    assert ids_in(redis, room) == [receipt.message_id]
    keys = [key for key in redis.scan_iter() if key not in {BELL.encode(), CHANNELS.encode()}]
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


def only_body(redis_url: str) -> bytes:
    """The body of the only message that is ready."""
    (claimed,) = push(redis_url)
    (record,) = claimed.records
    return read_content(record)[2]
