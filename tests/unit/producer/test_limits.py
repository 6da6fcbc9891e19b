"""A channel's limits, as producers read them from its record."""

import pytest

from pushlane.enqueue_protocol import LIMIT_FIELDS, read_limits
from pushlane.message import Limits

FIELDS = {"kind": b"cinnox", "max_text": b"5000", "text_unit": b"utf16", "max_message_bytes": b"65536"}


def test_the_limits_are_those_of_the_record() -> None:
    """In the order in which they are asked for."""
    assert read_limits([FIELDS[name] for name in LIMIT_FIELDS]) == Limits("cinnox", 5000, "utf16", 65_536)


@pytest.mark.parametrize("absent", LIMIT_FIELDS)
def test_a_record_without_one_of_them_is_no_channel(absent: str) -> None:
    """A producer then says so, instead of failing by a TypeError."""
    assert read_limits([None if name == absent else FIELDS[name] for name in LIMIT_FIELDS]) is None
