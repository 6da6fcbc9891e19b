"""A producer in a process of its own: ``python -m benchmarks.calls HOW URL`` prints its rate, or keeps a pace."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from benchmarks.backlog import TEXT
from benchmarks.timing import pace, rate
from pushlane import Producer, RoomMessage
from pushlane.clients import connect

if TYPE_CHECKING:
    from collections.abc import Callable

CHANNEL: Final = "support"
ROOMS: Final = 500
MANY: Final = 100


def send(url: str) -> None:
    """One message a call."""
    with Producer(url) as producer:
        print(rate(lambda number: void(producer.send(CHANNEL, RoomMessage(f"room-{number % ROOMS}", TEXT)))))


def send_many(url: str) -> None:
    """100 messages a call; prints messages a second."""
    rooms = [f"room-{number}" for number in range(ROOMS)]
    with Producer(url) as producer:

        def call(number: int) -> None:
            first = number * MANY % ROOMS
            producer.send_many(CHANNEL, [RoomMessage(room, TEXT) for room in rooms[first : first + MANY]])

        print(rate(call) * MANY)


def evalsha(url: str) -> None:
    """The least that a script call can cost, through the same client."""
    client = connect(url, timeout=2)
    sha = str(client.script_load("return 1"))
    print(rate(lambda _: void(client.evalsha(sha, 1, "key", TEXT))))


def paced(url: str, messages: str) -> None:
    """One message each 50 ms."""
    with Producer(url) as producer:
        pace(lambda text: void(producer.send(CHANNEL, RoomMessage("room", text))), int(messages))


def void(_: object) -> None:
    """Drops a result."""


if __name__ == "__main__":
    how, *arguments = sys.argv[1:]
    calls: dict[str, Callable[..., None]] = {"send": send, "send_many": send_many, "evalsha": evalsha, "paced": paced}
    calls[how](*arguments)
