"""Celery's producers: ``python -m benchmarks.peers.celery_calls HOW`` prints its rate, or keeps a pace."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from benchmarks.backlog import TEXT
from benchmarks.peers.celery_app import app
from benchmarks.timing import pace, rate

if TYPE_CHECKING:
    from collections.abc import Callable

TASK: Final = "benchmarks.peers.celery_app.push"
ROOMS: Final = 500
MANY: Final = 100


def send(room: str, text: str) -> None:
    """One task."""
    app.send_task(TASK, (room, text))


def send_task() -> None:
    """One task a call."""
    print(rate(lambda number: send(f"room-{number % ROOMS}", TEXT)))


def publish_many() -> None:
    """100 messages a call in kombu's own batch, without anything of Celery's; prints messages a second."""
    with app.connection() as connection:
        producer = connection.Producer(routing_key="bench", serializer="json", auto_declare=False)

        def call(number: int) -> None:
            with producer.batch(MANY):
                for place in range(number * MANY, number * MANY + MANY):
                    producer.publish({"room": f"room-{place % ROOMS}", "text": TEXT})

        print(rate(call) * MANY)


def paced(messages: str) -> None:
    """One task each 50 ms."""
    pace(lambda text: send("room", text), int(messages))


if __name__ == "__main__":
    how, *arguments = sys.argv[1:]
    calls: dict[str, Callable[..., None]] = {"send_task": send_task, "publish_many": publish_many, "paced": paced}
    calls[how](*arguments)
