"""A channel's limits, as producers read them from its record."""

from collections.abc import Mapping

import pytest

from pushlane.channel_record import CHANNEL_VERSION, LIMIT_FIELDS, read_limits
from pushlane.errors import NewerChannel
from pushlane.message import Limits

FIELDS = {
    "version": b"%d" % CHANNEL_VERSION,
    "kind": b"cinnox",
    "max_text": b"5000",
    "text_unit": b"utf16",
    "max_message_bytes": b"65536",
}


LIMITS = Limits("cinnox", 5000, "utf16", 65_536)


def _read(fields: Mapping[str, bytes | None]) -> Limits | None:
    return read_limits("support", [fields.get(name) for name in LIMIT_FIELDS])


@pytest.mark.parametrize("version", [FIELDS["version"], None])
def test_the_limits_are_those_of_the_record(version: bytes | None) -> None:
    """In the order in which they are asked for; the previous release writes no version."""
    assert _read(FIELDS | {"version": version}) == LIMITS


def test_a_record_of_a_newer_release_is_not_read() -> None:
    """Its fields may mean something else, or be gone."""
    with pytest.raises(NewerChannel, match=r"'support'.* newer release"):
        _read({"version": b"%d" % (CHANNEL_VERSION + 1)})


@pytest.mark.parametrize("absent", [name for name in FIELDS if name != "version"])
def test_a_record_without_one_of_them_is_no_channel(absent: str) -> None:
    """A producer then says so, instead of failing by a TypeError."""
    assert _read(FIELDS | {absent: None}) is None
