"""The record that the previous release has written, as the scripts and Python read it."""

import pytest
from support.fake_scripts import PREFIX, fake_redis, script
from support.previous_release import RECORDS

from pushlane.keys import BELL
from pushlane.message_record import DETAILS, FIELDS, history_of, read_content, state_of, text_of

NOW = 1_764_000_000_123


OLD = {
    "version": "1",
    "state": "x",
    "reason": "r",
    "flags": "m",
    "attempts": "0012",
    "losses": "03",
    "part": "00000004",
    "sequence": "00000000000045",
    "accepted": str(NOW + 1),
    "joined": str(NOW + 2),
    "due": str(NOW + 3),
    "expires": str(NOW + 4),
    "final": str(NOW + 5),
    "pushed": str(NOW + 6),
    "fingerprint": "0123456789abcdef01234567",
    "conversation_bytes": "004",
    "address_bytes": "0002",
    "body_bytes": "000004",
}


def old_record(fields: dict[str, str], text: bytes = b"") -> bytes:
    """A record that the previous release has written, with these fields and the rest of ``OLD``."""
    places, size = RECORDS.FIELDS, RECORDS.HEADER_BYTES
    assert places.keys() == OLD.keys()
    record = bytearray(size)
    for name, value in (OLD | fields).items():
        assert len(value) == places[name].stop - places[name].start
        record[places[name]] = value.encode()
    return bytes(record) + b'room[]"hi"' + text


@pytest.mark.parametrize("text", [b"", "HTTP 400, zu groß".encode()])
def test_a_record_of_the_previous_release_says_the_same_in_this_layout(text: bytes) -> None:
    """What it has enqueued is read and delivered as if this one had: no field is lost."""
    redis, key = fake_redis(), f"{PREFIX}message:id"
    old = old_record({}, text)
    redis.set(key, old)
    record, found = redis.eval(script("read"), 1, PREFIX, 1, "id")
    expected = OLD | {"version": "2", "mark": "1"}
    assert {name: record[place].decode() for name, place in FIELDS.items()} == {name: expected[name] for name in FIELDS}
    assert {name: found[place].decode() for name, place in DETAILS.items()} == {
        name: expected[name] for name in DETAILS
    }
    assert (read_content(record), text_of(found)) == (("room", b"[]", b'"hi"'), text.decode())
    assert redis.get(key) == old, "its own workers may still read it"


def test_what_remains_of_a_message_of_the_previous_release_is_where_that_one_looks_for_it() -> None:
    """Its producers know the idempotency key again, in their own layout."""
    redis, key = fake_redis(), f"{PREFIX}message:id"
    old = {"state": "q", "reason": "-", "accepted": str(NOW), "final": "0" * 13}
    redis.set(key, old_record(old))
    redis.rpush(f"{PREFIX}conversation:room", "id")
    assert redis.eval(script("cancel"), 2, PREFIX, BELL, NOW + 9, "id") == b"maybe_delivered"
    places, size = RECORDS.FIELDS, RECORDS.HEADER_BYTES
    gone = {"state": "c", "final": str(NOW + 9), "address_bytes": "0000", "body_bytes": "000000"}
    left = redis.get(key)
    assert isinstance(left, bytes)
    assert {name: left[place].decode() for name, place in places.items()} == OLD | old | gone
    assert left[size:] == b"room"
    assert redis.pttl(key) > 0
    assert not redis.exists(f"{PREFIX}details")


def test_a_message_of_the_previous_release_is_one_however_often_it_changes() -> None:
    """Its layout is the present one from its first change on, and its mark still says where its end is looked for."""
    redis, key = fake_redis(), f"{PREFIX}message:id"
    held = {"state": "h", "reason": "-", "due": str(NOW + 60_000), "expires": "0" * 13, "final": "0" * 13}
    redis.set(key, old_record(held, b"rorder 7"))
    redis.rpush(f"{PREFIX}conversation:room", "id")
    redis.sadd(f"{PREFIX}hold:order 7", "id")
    assert redis.eval(script("decide"), 2, PREFIX, BELL, NOW + 9, "order 7", 'w"no"', 0) == [b'w"no"', 1, 0]
    record, found = redis.get(key), redis.hget(f"{PREFIX}details", "id")
    assert isinstance(record, bytes)
    assert isinstance(found, bytes)
    assert (state_of(record), record[FIELDS["mark"]]) == ("queued", b"1")
    assert (read_content(record), text_of(found)) == (("room", b"[]", b'"no"'), "")
    assert history_of(record, found) == (12, NOW + 9)
    assert redis.eval(script("cancel"), 2, PREFIX, BELL, NOW + 10, "id") == b"maybe_delivered"
    left = redis.get(key)
    assert isinstance(left, bytes)
    assert left.startswith(b"1c")
