"""Pushlane's producer library: what a service installs to enqueue chat messages.

>>> from pushlane import Producer, RoomMessage
>>> with Producer("redis://localhost:6379/0") as producer:
...     receipt = producer.send("support", RoomMessage("room-1", "Hello"), idempotency_key="order-7")
"""

from pushlane.errors import (
    IdempotencyConflict,
    InvalidMessage,
    PushlaneError,
    QueueFull,
    QueueUnavailable,
    UnknownChannel,
)
from pushlane.hold import Hold
from pushlane.message import MessageStatus, Receipt, RoomMessage, ThirdPartyMessage
from pushlane.producer import AsyncProducer, Producer

__all__ = [
    "AsyncProducer",
    "Hold",
    "IdempotencyConflict",
    "InvalidMessage",
    "MessageStatus",
    "Producer",
    "PushlaneError",
    "QueueFull",
    "QueueUnavailable",
    "Receipt",
    "RoomMessage",
    "ThirdPartyMessage",
    "UnknownChannel",
]

__version__ = "0.1.0"
