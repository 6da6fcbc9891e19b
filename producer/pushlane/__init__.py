"""Pushlane's producer library: what a service installs to enqueue chat messages.

>>> from pushlane import Producer, RoomMessage
>>> with Producer("redis://localhost:6379/0") as producer:
...     receipt = producer.send("support", RoomMessage("room-1", "Hello"), idempotency_key="order-7")

::

    producer           Producer
    async_producer     AsyncProducer
    enqueue_protocol   what both share: a script's arguments, and what its reply means
    channel_record     a channel's record: its limits, and which release has written it
    message            messages, and a channel's limits for them
    send_options       how a message is to be sent: key, times, hold
    hold               a message that waits for a decision
    receipt            what a producer learns about a message
    message_json       messages with their options as JSON
    message_record     messages as they are stored
    push_record        pushes as they are stored
    keys               every Redis key
    tracing            OpenTelemetry spans, and the trace context that a message takes along
    scripts            loads and calls the Lua scripts in lua/
    clients            the Redis clients
    cluster            those of a Redis Cluster
    connections        connections that lead to the primary
    asking             asks nodes and sentinels who the primary is
    refusals           what a server's refusal means for the address
    handshake          why TLS with a Redis failed
    address            the address of a Redis
    address_options    its parameters
    password_file      its password in a file
    strict_json        reads JSON from outside, within bounds
    errors             every error
    testing            producers for a service's own tests (extra ``testing``)
    outcome            the outcomes of a push
    operators          what operators see and do (extras of the worker and the callback)
    metrics            what ``/metrics`` tells Prometheus (the same)
    service            what the worker and the callback share (their extras)
    callback           the callback endpoint (extra ``callback``)
"""

from pushlane.errors import (
    IdempotencyConflict,
    InvalidMessage,
    NewerChannel,
    PushlaneError,
    QueueFull,
    QueueUnavailable,
    UnknownChannel,
)
from pushlane.hold import Hold
from pushlane.message import RoomMessage, ThirdPartyMessage
from pushlane.producer import AsyncProducer, Producer
from pushlane.push_record import PushRecord
from pushlane.receipt import MessageStatus, Receipt

__all__ = [
    "AsyncProducer",
    "Hold",
    "IdempotencyConflict",
    "InvalidMessage",
    "MessageStatus",
    "NewerChannel",
    "Producer",
    "PushRecord",
    "PushlaneError",
    "QueueFull",
    "QueueUnavailable",
    "Receipt",
    "RoomMessage",
    "ThirdPartyMessage",
    "UnknownChannel",
]

__version__ = "0.2.0.dev0"
