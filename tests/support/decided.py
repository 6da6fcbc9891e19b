"""Messages that wait for a decision, and what has become of them."""

from __future__ import annotations

from pushlane import Hold, Producer, RoomMessage


def held(producer: Producer, key: str, text: str = "hello") -> str:
    """The id of a message that waits for a decision on the key."""
    receipt = producer.send("support", RoomMessage("r", text), hold=Hold(key, 60))
    assert receipt.state == "held"
    return receipt.message_id


def state(producer: Producer, message_id: str) -> tuple[str, str | None, str | None]:
    """What a message's producer learns of it."""
    status = producer.status("support", message_id)
    assert status is not None
    return status.state, status.reason, status.detail
