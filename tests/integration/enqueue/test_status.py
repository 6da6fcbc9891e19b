"""What both producers say of a message after they accepted it."""

from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from support.channels import claim, push
from support.every_node import url_of
from support.producers import HELLO, Door

from pushlane import RoomMessage
from pushlane.outcome import Outcome


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
